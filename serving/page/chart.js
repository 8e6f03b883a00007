// A small line chart. The legend shows the numbers as text, so for screen readers the drawing is
// one image with a label.

import { html, svg } from "/page/element.js";

const WIDTH = 300;
const HEIGHT = 84;
const TOP = 6;
const BOTTOM = 4;

/**
 * `colour` is a class of live.css.
 * @typedef {{name: string, values: (number|null)[], colour: string}} Series
 */
export class Chart {
  /**
   * `least` is the smallest value that the top of the scale may have.
   * @param {{label: string, format: (value: number|null) => string, least?: number,
   *   area?: boolean}} options
   */
  constructor(options) {
    this.options = options;
    this.marks = svg("g");
    this.reading = svg("line", { class: "reading", y1: 0, y2: HEIGHT });
    this.drawing = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, this.marks, this.reading);
    this.top = html("span", { class: "scale" });
    this.legend = html("ul", { class: "legend" });
    this.node = html("div", { class: "chart-box" }, html("div", { class: "plot" }, this.drawing, this.top), this.legend);
    this.series = [];
    this.at = null;
    this.drawing.addEventListener("pointermove", (event) => this.#read(event));
    this.drawing.addEventListener("pointerleave", () => {
      this.at = null;
      this.#updateLegend();
    });
  }

  /** @param {Series[]} series all of the same length, the newest value last */
  show(series) {
    this.series = series;
    const all = series.flatMap((one) => one.values).filter((value) => value !== null);
    const top = nice(Math.max(this.options.least ?? 0, ...all));
    const length = Math.max(series[0]?.values.length ?? 0, 30);
    const x = (place, count) => WIDTH - ((count - 1 - place) / (length - 1)) * WIDTH;
    const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    this.marks.replaceChildren(
      svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: TOP, y2: TOP }),
      svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(top / 2), y2: y(top / 2) }),
      svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
      ...series.flatMap((one) => this.#line(one, x, y)),
    );
    this.top.textContent = this.options.format(top);
    this.#updateLegend();
  }

  #line(one, x, y) {
    let d = "";
    let first = null;
    let last = null;
    one.values.forEach((value, place) => {
      if (value === null) return;
      const at = x(place, one.values.length);
      d += `${d === "" || one.values[place - 1] === null ? "M" : "L"}${at.toFixed(1)} ${y(value).toFixed(1)}`;
      first ??= at;
      last = at;
    });
    if (d === "") return [];
    const line = svg("path", { class: `line ${one.colour}`, d });
    const whole = !one.values.slice(one.values.findIndex((value) => value !== null)).includes(null);
    if (!this.options.area || !whole) return [line];
    return [svg("path", { class: `area ${one.colour}`, d: `${d}L${last} ${HEIGHT - BOTTOM}L${first} ${HEIGHT - BOTTOM}Z` }), line];
  }

  #read(event) {
    const box = this.drawing.getBoundingClientRect();
    const length = Math.max(this.series[0]?.values.length ?? 0, 30);
    this.at = Math.round((1 - (event.clientX - box.left) / box.width) * (length - 1));
    this.#updateLegend();
  }

  /** Show the newest values in the legend, or those under the pointer. */
  #updateLegend() {
    const { format, label } = this.options;
    const back = this.at ?? 0;
    const length = Math.max(this.series[0]?.values.length ?? 0, 30);
    const x = WIDTH - (back / (length - 1)) * WIDTH;
    this.reading.setAttribute("x1", x);
    this.reading.setAttribute("x2", x);
    this.reading.classList.toggle("on", this.at !== null);
    const entries = this.series.map((one) => ({ ...one, text: format(one.values.at(-1 - back) ?? null) }));
    this.legend.replaceChildren(
      ...entries.map((one) => html("li", {}, html("span", { class: `swatch ${one.colour}` }), html("span", {}, one.name), html("b", {}, one.text))),
    );
    if (this.at === null) this.drawing.setAttribute("aria-label", `${label}: ${entries.map((one) => `${one.name} ${one.text}`).join(", ")}`);
  }
}

/** The smallest round number that is not below `value`. */
export function nice(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}
