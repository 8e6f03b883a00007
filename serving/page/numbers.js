// Formats numbers for people.

const UNKNOWN = "–";
/** The objective of freshness: 99.9% of the rankings within this time. See deploy/prometheus. */
export const OBJECTIVE_MS = 1000;
const CLOSE_MS = 500;

/** How a freshness compares with the objective: "" if it is unknown. @param {number|null} ms */
export function mood(ms) {
  if (ms === null || ms === undefined) return "";
  return ms > OBJECTIVE_MS ? "bad" : ms > CLOSE_MS ? "warm" : "good";
}

export function whole(value) {
  return value === null || value === undefined ? UNKNOWN : Math.round(value).toLocaleString();
}

/** About three significant digits. */
export function rough(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const size = Math.abs(value);
  return size >= 100 ? whole(value) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function percent(share) {
  return share === null || share === undefined ? UNKNOWN : `${(share * 100).toFixed(1)}%`;
}

/** @param {number|null|undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 3_600_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}
