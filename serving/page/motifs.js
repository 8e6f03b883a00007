// Patterns for tiles, one per category. Each returns shapes for a field of 120 x 90; `next()`
// returns numbers in [0, 1). The patterns have few shapes with long paths, because each click draws
// a dozen tiles within one frame.

import { svg } from "/page/element.js";

const WIDTH = 120;
const HEIGHT = 90;

function path(d, attributes) {
  return svg("path", { d, fill: "none", ...attributes });
}

/** A path: a horizontal wave through `y`. */
function wave(y, height, length, shift) {
  let d = `M${-length + shift} ${y}`;
  for (let x = -length + shift; x < WIDTH + length; x += length) {
    d += ` q${length / 4} ${-height} ${length / 2} 0 t${length / 2} 0`;
  }
  return d;
}

function contours(next, paint) {
  const [x, y, tilt] = [30 + next() * 60, 25 + next() * 40, next() * 180];
  const shapes = [];
  for (let ring = 9; ring > 0; ring -= 1) {
    shapes.push(
      svg("ellipse", {
        cx: x + ring * 1.6, cy: y - ring * 1.1, rx: ring * 11 - 4, ry: ring * 7.4 - 3, transform: `rotate(${tilt / 6} ${x} ${y})`,
        fill: ring % 4 === 1 ? paint.light : "none", stroke: paint.dark, "stroke-width": ring === 5 ? 2.2 : 1.1,
      }),
    );
  }
  return shapes;
}

function peaks(next, paint) {
  const shapes = [svg("circle", { cx: 20 + next() * 80, cy: 20 + next() * 12, r: 8 + next() * 5, fill: paint.light })];
  for (const [colour, top, base] of [[paint.middle, 30, 96], [paint.dark, 48, 98]]) {
    const first = next() * 40 - 30;
    const wide = 46 + next() * 22;
    let d = `M-20 ${base}`;
    for (let x = first; x < WIDTH + wide; x += wide) d += ` L${x + wide / 2} ${top + next() * 16} L${x + wide} ${base - 14 - next() * 10}`;
    shapes.push(path(`${d} V100 H-20 Z`, { fill: colour }));
  }
  return shapes;
}

function weave(next, paint) {
  const step = 11 + Math.floor(next() * 3) * 2;
  const shift = next() * step;
  const threads = ["", ""];
  for (let column = -1; column * step < WIDTH + step; column += 1) {
    const rise = column % 2 === 0 ? step * 0.55 : -step * 0.55;
    for (let y = -step; y < HEIGHT + step; y += step / 1.7) {
      const x = column * step + shift;
      threads[(column + Math.round(y / step)) % 3 === 0 ? 1 : 0] += `M${x + 1.6} ${y}L${x + step - 1.6} ${y - rise}`;
    }
  }
  return threads.map((d, light) => path(d, { stroke: light ? paint.light : paint.dark, "stroke-width": 3, "stroke-linecap": "round" }));
}

function ropes(next, paint) {
  const shift = next() * 40;
  const gap = 26 + next() * 8;
  const shapes = [];
  for (const [turn, stroke] of [[0, paint.middle], [22, paint.dark]]) {
    let d = "";
    for (let y = gap / 2 - 6; y < HEIGHT + gap; y += gap) d += wave(y, 15, 44, shift + turn);
    shapes.push(path(d, { stroke: paint.ground, "stroke-width": 8.5 }));
    shapes.push(path(d, { stroke, "stroke-width": 5.5 }));
    shapes.push(path(d, { stroke: paint.light, "stroke-width": 1, "stroke-dasharray": "3 4" }));
  }
  return shapes;
}

function wheels(next, paint) {
  const shapes = [];
  for (const [cx, cy, r] of [[26 + next() * 12, 58 + next() * 8, 30], [92 + next() * 10, 52 + next() * 10, 22 + next() * 10]]) {
    shapes.push(svg("circle", { cx, cy, r, fill: paint.light, stroke: paint.dark, "stroke-width": 4.5 }));
    const turn = next() * Math.PI;
    let spokes = "";
    for (let spoke = 0; spoke < 12; spoke += 1) {
      const angle = turn + (spoke * Math.PI) / 6;
      spokes += `M${cx} ${cy}l${Math.cos(angle) * (r - 3)} ${Math.sin(angle) * (r - 3)}`;
    }
    shapes.push(path(spokes, { stroke: paint.middle, "stroke-width": 1.1 }));
    shapes.push(svg("circle", { cx, cy, r: 3.6, fill: paint.dark }));
  }
  return shapes;
}

function waves(next, paint) {
  const shapes = [];
  const length = 34 + next() * 26;
  const colours = [paint.light, paint.middle, paint.dark];
  for (let band = 0; band < 6; band += 1) {
    const y = 20 + band * 14;
    shapes.push(path(`${wave(y, 5 + next() * 6, length, next() * length)} V110 H-60 Z`, { fill: colours[band % 3], opacity: 0.85 }));
  }
  return shapes;
}

/** A part of a path: a circle. */
function disc(cx, cy, r) {
  return `M${cx - r} ${cy}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
}

function stones(next, paint) {
  const heaps = ["", "", ""];
  for (let row = 0; row < 4; row += 1) {
    for (let column = 0; column < 6; column += 1) {
      const [cx, cy] = [column * 24 + (row % 2) * 12 + next() * 4, row * 25 + 8 + next() * 4];
      heaps[Math.floor(next() * 3)] += disc(cx, cy, 5.5 + next() * 5);
    }
  }
  return heaps.map((d, place) => path(d, { fill: [paint.light, paint.middle, paint.dark][place] }));
}

function shells(next, paint) {
  const shapes = [];
  const size = 20 + next() * 8;
  for (let row = 6; row >= 0; row -= 1) {
    for (const [part, fill] of [[0.5, paint.dark], [0.36, paint.middle], [0.2, paint.light]]) {
      let d = "";
      for (let column = -1; column * size < WIDTH + size; column += 1) {
        d += disc(column * size + (row % 2) * (size / 2), HEIGHT - row * (size / 2) + size / 2, size * part);
      }
      shapes.push(path(d, { fill }));
    }
  }
  return shapes;
}

const OF_THE_SHOP = { Footwear: contours, Camping: peaks, Clothing: weave, Climbing: ropes, Cycling: wheels, Water: waves };
const ANY = [shells, stones, weave, waves, contours, ropes];

/** The pattern of a category. `number` chooses it for categories that the demo's shop lacks. */
export function motif(category, number) {
  return Object.hasOwn(OF_THE_SHOP, category ?? "") ? OF_THE_SHOP[category] : ANY[number % ANY.length];
}
