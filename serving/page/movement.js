/**
 * How many places each item moved between two rankings: positive is up, negative is down, null is
 * new. For the first ranking `before` is null, and no item counts as new.
 * @param {string[]|null} before ids in order
 * @param {string[]} after
 * @returns {Map<string, number|null>}
 */
export function movements(before, after) {
  const places = new Map((before ?? after).map((id, place) => [id, place]));
  return new Map(after.map((id, place) => [id, places.has(id) ? places.get(id) - place : null]));
}

/** @param {number|null} moved */
export function movementInWords(moved) {
  if (moved === null) return "new";
  if (moved === 0) return "";
  return moved > 0 ? `up ${moved}` : `down ${-moved}`;
}
