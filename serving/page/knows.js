// The panel "What Ouzel knows": the session as the model sees it, how long the latest ranking took,
// and how accurate the model is.

import { Chart } from "/page/chart.js";
import { html } from "/page/element.js";
import { id as idOf } from "/page/marks.js";
import { OBJECTIVE_MS, duration, mood, percent, rough, whole } from "/page/numbers.js";
import { strategyInWords } from "/page/reasons.js";
import { tile } from "/page/tile.js";
import { lastAction } from "/page/visitor.js";

/**
 * Times in epoch ms.
 * @typedef {{clicked: number, generated: number, answered: number, drawn: number}} Timing
 */

export class Knows {
  /** @param {{body: HTMLElement, brief: HTMLElement}} parts */
  constructor(parts, catalogue, visitor, forget) {
    this.parts = parts;
    this.catalogue = catalogue;
    this.count = this.took = "";
    this.session = html("ol", { class: "session", id: "session" });
    this.nothing = html("p", { class: "hint" }, "Nothing yet. Products you click appear here.");
    this.fresh = html("p", { class: "figure", id: "fresh" }, "–");
    this.freshHint = html("p", { class: "hint" }, "Measured at your next click.");
    this.split = html("div", { class: "split", "aria-hidden": "true" });
    this.splitWords = html("ul", { class: "legend" });
    this.model = html("p", { class: "hint" });
    this.bars = html("ul", { class: "bars" });
    this.tested = html("p", { class: "hint" }, "Not measured yet.");
    this.rate = new Chart({ label: "Events per second", format: rough, area: true, least: 10 });
    this.forget = html("button", { type: "button", class: "danger", id: "forget", click: forget }, "Forget me");
    this.forgotten = html("p", { class: "hint", id: "forgotten", role: "status" });
    parts.body.replaceChildren(
      html("section", {},
        html("h3", {}, "Your session, as the model sees it"), this.nothing, this.session,
        html("div", { class: "forget" }, html("p", { class: "hint" }, "You are ", html("code", { id: "visitor" }, idOf(visitor))), this.forget),
        this.forgotten),
      html("section", {}, html("h3", {}, "Your latest ranking"), this.fresh, this.freshHint, this.split, this.splitWords, this.model),
      html("section", {}, html("h3", {}, "How good are the recommendations?"), this.bars, this.tested),
      html("section", {}, html("h3", {}, "All visitors"), this.rate.node),
    );
  }

  /** @param {any} ranking an answer of GET /v1/recommendations */
  show(ranking) {
    const newest = [...ranking.prefix].reverse();
    this.nothing.hidden = newest.length > 0;
    this.session.replaceChildren(...newest.map((id) => this.#entry(id)));
    const version = ranking.model_version > 0 && newest.length > 0 ? ` (${whole(ranking.model_version)} learning steps)` : "";
    const seen = newest.length > 0 ? " Products in your session are left out." : "";
    this.model.textContent = `${strategyInWords(ranking.strategy)}${version}.${seen}`;
    this.count = newest.length ? `${newest.length} ${newest.length === 1 ? "item" : "items"}` : "nothing yet";
    this.#brief();
  }

  /** Remove the measurements, after the visitor was deleted. */
  clear() {
    this.fresh.textContent = "–";
    this.fresh.dataset.mood = "";
    this.took = "";
    this.freshHint.textContent = "Measured at your next click.";
    this.split.replaceChildren();
    this.splitWords.replaceChildren();
  }

  #entry(id) {
    const action = lastAction(id);
    return html(
      "li",
      { "data-item": id },
      html("span", { class: "mini" }, tile(this.catalogue.get(id))),
      html("span", {}, this.catalogue.shown(id)),
      action === null ? null : html("span", { class: "action" }, action === "in your cart" ? "in cart" : action),
    );
  }

  /** The summary beside the title while the panel is folded. */
  #brief() {
    this.parts.brief.textContent = [this.count, this.took].filter(Boolean).join(" · ");
  }

  /**
   * Show how long the latest ranking took. The time in Kafka and in the model is shown separately
   * only if the clocks of browser and worker agree, as they do on one machine.
   * @param {Timing} timing
   */
  time(timing) {
    const whole = timing.drawn - timing.clicked;
    this.fresh.textContent = this.took = duration(whole);
    this.fresh.dataset.mood = mood(whole);
    this.#brief();
    this.freshHint.textContent = `from your click to the new ranking on this screen; the objective is ${duration(OBJECTIVE_MS)}`;
    const agree = timing.clicked <= timing.generated + 1 && timing.generated <= timing.answered + 1;
    const parts = agree
      ? [["one", "click to ranking (Kafka, model)", timing.generated - timing.clicked], ["two", "ranking to page (Kafka, HTTP)", timing.answered - timing.generated], ["three", "drawing", timing.drawn - timing.answered]]
      : [["one", "click to ranking to page", timing.answered - timing.clicked], ["three", "drawing", timing.drawn - timing.answered]];
    this.split.replaceChildren(
      ...parts.map(([colour, , ms]) => {
        const piece = html("span", { class: colour });
        piece.style.flexGrow = String(Math.max(ms, whole / 100));
        return piece;
      }),
    );
    this.splitWords.replaceChildren(
      ...parts.map(([colour, words, ms]) => html("li", {}, html("span", { class: `swatch ${colour}` }), html("span", {}, words), html("b", {}, duration(Math.max(ms, 0))))),
    );
  }

  /** @param {import("/page/figures.js").Figures} figures */
  figures(figures) {
    const live = figures.latest.value;
    if (live === null) return;
    this.rate.show([{ name: "events/s", values: figures.series((one) => one.events_per_second), colour: "one" }]);
    const of = (method) => live.accuracy.find((one) => one.method === method)?.recall ?? null;
    const [model, popularity] = [of("model"), of("popularity")];
    if (model === null || popularity === null) return;
    this.bars.replaceChildren(bar("Ouzel's model", model, "one"), bar("Most popular items", popularity, "two"));
    this.tested.textContent = `Live Recall@20: how often the next click was on one of the 20 recommended products, over ${whole(live.tests)} clicks.`;
  }
}

function bar(name, share, colour) {
  const filled = html("span", { class: `bar-fill ${colour}` });
  filled.style.inlineSize = `${(Math.min(share, 1) * 100).toFixed(1)}%`;
  return html("li", {}, html("span", {}, name), html("b", {}, percent(share)), html("span", { class: "bar-track", "aria-hidden": "true" }, filled));
}
