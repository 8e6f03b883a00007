// Shows whether Ouzel answers: one word in the bar, and a banner with a sentence when something is
// wrong.

const STATES = {
  starting: ["Starting...", "Ouzel is reading its topics. Products and recommendations appear when it has caught up."],
  live: ["Live", ""],
  away: ["No Kafka", "Ouzel cannot reach Kafka. You see the last known recommendations; clicks are saved and sent when Kafka is back."],
  down: ["Worker down", "No worker processes events. You see the last known recommendations; clicks are kept in Kafka and ranked when a worker is back."],
  offline: ["Offline", "Ouzel is unreachable. Reconnecting..."],
  locked: ["Locked", "API key required."],
};

/**
 * @param {import("/page/api.js").Problem|null} trouble why the last request failed, or null
 * @param {any} live the latest answer of GET /v1/live
 */
export function stateOf(trouble, live) {
  if (trouble?.status === 401 || trouble?.status === 403) return "locked";
  if (trouble?.status === 503 || trouble?.status === 429) return live === null ? "starting" : "away";
  if (trouble !== null) return "offline";
  if (live === null) return "starting";
  if (!live.kafka_available) return "away";
  return live.workers_down === true ? "down" : "live";
}

/** @param {Record<"pill"|"word"|"banner"|"sentence"|"key", HTMLElement>} parts */
export function showConnection(parts, state) {
  const [word, sentence] = STATES[state];
  if (parts.word.textContent === word) return;
  parts.pill.dataset.state = state;
  parts.word.textContent = word;
  parts.sentence.textContent = sentence;
  parts.key.hidden = state !== "locked";
  parts.banner.dataset.state = state;
  parts.banner.hidden = sentence === "";
}
