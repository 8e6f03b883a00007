// Whether Ouzel answers, in a word in the bar, and in a sentence where something is to be known.

const STATES = {
  starting: ["Waking up", "Ouzel is reading its topics. The page fills as soon as it has caught up."],
  live: ["Live", ""],
  away: ["Kafka is away", "What was ranked before is still shown. Your clicks wait, and are sent when Kafka is back."],
  offline: ["Offline", "Ouzel does not answer. This page tries again by itself."],
  locked: ["Locked", "This Ouzel wants a key."],
};

/**
 * @param {import("/page/api.js").Problem|null} trouble of the last asking
 * @param {any} live the last answer of GET /v1/live
 */
export function stateOf(trouble, live) {
  if (trouble?.status === 401 || trouble?.status === 403) return "locked";
  if (trouble?.status === 503 || trouble?.status === 429) return live === null ? "starting" : "away";
  if (trouble !== null) return "offline";
  if (live === null) return "starting";
  return live.kafka_available ? "live" : "away";
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
