// System health without Grafana: charts and facts from GET /v1/live over the last minutes.

import { Chart } from "/page/chart.js";
import { html } from "/page/element.js";
import { duration, mood, percent, rough, whole } from "/page/numbers.js";

/** The p99 of the latest rankings; without a worker there are none. */
function freshness(live) {
  return live.workers_down ? "none" : duration(live.freshness_ms?.p99);
}

const COLOURS = ["one", "two", "three", "four", "five", "six"];

function fixed(names) {
  return (figures) => names.map(([name, pick], place) => ({ name, values: figures.series(pick), colour: COLOURS[place] }));
}

/**
 * One line for the model, and one for each method it is compared with.
 * @param {"recall"|"mrr"} measure
 */
const accuracies = (measure) => (figures) => {
  const methods = [...new Set(figures.past.flatMap((live) => live.accuracy.map((one) => one.method)))];
  methods.sort((a, b) => Number(b === "model") - Number(a === "model"));
  return methods.map((method, place) => ({
    name: method,
    values: figures.series((live) => live.accuracy.find((one) => one.method === method)?.[measure]),
    colour: COLOURS[place % COLOURS.length],
  }));
};

const CHARTS = [
  { title: "Throughput", about: "events per second on Kafka", format: rough, area: true, least: 10, series: fixed([["events/s", (live) => live.events_per_second]]) },
  {
    title: "Freshness", about: "time from an event to its ranking, by Kafka timestamps; the objective is 1 s for 99.9%", format: duration, least: 20,
    series: fixed([["p50", (live) => live.freshness_ms?.p50], ["p90", (live) => live.freshness_ms?.p90], ["p99", (live) => live.freshness_ms?.p99]]),
  },
  { title: "Recall@20", about: "how often the next click was among the 20 recommended", format: percent, least: 0.2, series: accuracies("recall") },
  { title: "MRR@20", about: "rank of the clicked product; 100% means always first", format: percent, least: 0.1, series: accuracies("mrr") },
  {
    title: "Lag", about: "records waiting", format: whole, least: 10,
    series: fixed([["events to rank", (live) => live.lag], ["transitions to learn", (live) => live.learner_lag]]),
  },
  { title: "Loss", about: "training loss of the neural network", format: rough, series: fixed([["loss", (live) => live.loss]]) },
];

/**
 * @param {HTMLElement} charts
 * @param {HTMLElement} facts
 * @param {import("/page/figures.js").Figures} figures
 */
export function startOperations(charts, facts, figures) {
  const drawn = CHARTS.map((one) => ({ ...one, chart: new Chart({ label: one.title, ...one }) }));
  charts.replaceChildren(
    ...drawn.map((one) => html("section", { class: "card" }, html("h3", {}, one.title), html("p", { class: "hint" }, one.about), one.chart.node)),
  );
  const values = new Map(FACTS.map(([name]) => [name, html("dd", {}, "–")]));
  facts.replaceChildren(...FACTS.map(([name]) => html("div", {}, html("dt", {}, name), values.get(name))));
  return () => {
    const live = figures.latest.value;
    if (live === null) return;
    for (const one of drawn) one.chart.show(one.series(figures));
    for (const [name, text, moodOf] of FACTS) {
      values.get(name).textContent = text(live);
      values.get(name).dataset.mood = moodOf?.(live) ?? "";
    }
  };
}

const FACTS = [
  [
    "Workers ready",
    ({ workers, workers_down: down }) => (down === null ? "not monitored" : `${workers.ready} of ${workers.asked}${down && workers.ready ? ", stuck" : ""}`),
    ({ workers, workers_down: down }) => (down === null ? "" : down || workers.ready < workers.asked ? "bad" : "good"),
  ],
  ["Kafka", (live) => (live.kafka_available ? "connected" : "unreachable"), (live) => (live.kafka_available ? "good" : "bad")],
  ["Dead letters", (live) => whole(live.dead_letters), (live) => (live.dead_letters ? "bad" : "")],
  ["Freshness, p99", freshness, (live) => (live.workers_down ? "bad" : mood(live.freshness_ms?.p99))],
  ["Newest ranking", (live) => (live.newest_ranking_age_ms === null ? "none yet" : `${duration(live.newest_ranking_age_ms)} ago`), (live) => (live.workers_down ? "bad" : "")],
  ["Events per second", (live) => rough(live.events_per_second)],
  ["Users", (live) => whole(live.users)],
  ["Items", (live) => whole(live.items)],
];
