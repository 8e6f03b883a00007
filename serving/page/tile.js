// Draws a picture for an item, because the catalogue has none. The category determines the pattern,
// the last word of the name determines the colour, and the id determines the details.

import { svg } from "/page/element.js";
import { motif } from "/page/motifs.js";

const COLOURS = {
  slate: [205, 18], moss: [92, 30], rust: [14, 56], sand: [38, 42], navy: [222, 46], plum: [318, 30], chalk: [55, 10], amber: [36, 78],
};

/** The FNV-1a hash of a text, 32 bits. @param {string} text */
export function hash(text) {
  let value = 0x811c9dc5;
  for (let place = 0; place < text.length; place += 1) value = Math.imul(value ^ text.charCodeAt(place), 0x01000193);
  return value >>> 0;
}

/** A source of numbers in [0, 1) that depend only on the seed (mulberry32). */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

function paint(name, number) {
  const word = name.slice(name.lastIndexOf(" ") + 1).toLowerCase();
  const [hue, saturation] = Object.hasOwn(COLOURS, word) ? COLOURS[word] : [(number % 24) * 15, 34];
  const tone = (lightness) => `hsl(${hue} ${saturation}% ${lightness}%)`;
  return { ground: tone(80), light: tone(91), middle: tone(60), dark: tone(37) };
}

/**
 * @param {{item_id: string, item_name: string|null, categories: string[]}} item
 * @returns {SVGElement} decoration only: the caller shows the name beside it
 */
export function tile(item) {
  const number = hash(item.item_id);
  const category = item.categories[0] ?? null;
  const colours = paint(item.item_name ?? item.item_id, number);
  const draw = motif(category, category === null ? number : hash(category));
  return svg(
    "svg",
    { class: "tile", viewBox: "0 0 120 90", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true", focusable: "false" },
    svg("rect", { width: 120, height: 90, fill: colours.ground }),
    ...draw(numbers(number), colours),
  );
}
