// Shows a short note in the corner for five seconds.

import { html } from "/page/element.js";
import { spelled } from "/page/marks.js";

const STAYS_MS = 5000;

/** @param {HTMLElement} place @param {string} words */
export function note(place, words) {
  const safe = spelled(words);
  for (const other of place.children) if (other.textContent === safe) return;
  const shown = html("p", { class: "note" }, safe);
  place.append(shown);
  setTimeout(() => shown.remove(), STAYS_MS);
}
