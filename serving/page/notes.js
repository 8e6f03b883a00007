// Shows a short note in the corner for five seconds.

import { html } from "/page/element.js";

const STAYS_MS = 5000;

/** @param {HTMLElement} place @param {string} words */
export function note(place, words) {
  for (const other of place.children) if (other.textContent === words) return;
  const shown = html("p", { class: "note" }, words);
  place.append(shown);
  setTimeout(() => shown.remove(), STAYS_MS);
}
