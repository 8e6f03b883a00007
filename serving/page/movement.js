/**
 * How each item moved between two rankings: places up, negative for down, null where it is new.
 * @param {string[]|null} before ids in order; null before the first ranking, when nothing counts as new
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
