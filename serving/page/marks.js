// Shows texts of other people beside ours. An id may have characters that are invisible or that turn
// the direction of the text, so that it looks like another id: they become small boxes. A title may
// be of any script; it is isolated, so that it reorders nothing around it.

import { html } from "/page/element.js";

/** The same characters as in streams/printable.py. */
const UNSAFE = /[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\u{13430}-\u{1343f}\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

const code = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** A text for an attribute or a sentence, with code points such as U+202E for what is invisible. */
export function spelled(text) {
  return String(text).replace(UNSAFE, code);
}

/** An id as an element, with a box for each invisible character. `before` precedes the id. */
export function id(text, before = "") {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(UNSAFE)) {
    parts.push(text.slice(from, found.index), html("span", { class: "unseen", title: `Invisible character ${code(found[0])}` }, code(found[0])));
    from = found.index + found[0].length;
  }
  return html("bdi", {}, before, ...parts, text.slice(from));
}

/** A title, a category or another text of any script, as an element. */
export function title(text) {
  return html("bdi", {}, text);
}
