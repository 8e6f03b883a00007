// The page, put together: what a click does, from the event to the new strip. Read this first.

import { ask, useKey } from "/page/api.js";
import { Cart } from "/page/cart.js";
import { Catalogue } from "/page/catalogue.js";
import { showConnection, stateOf } from "/page/connection.js";
import { part } from "/page/element.js";
import { newEventId, send } from "/page/events.js";
import { Figures } from "/page/figures.js";
import { Knows } from "/page/knows.js";
import { note } from "/page/notes.js";
import { startOperations } from "/page/operations.js";
import { Others } from "/page/others.js";
import { inWords } from "/page/reasons.js";
import { Shelf } from "/page/shelf.js";
import { follow } from "/page/stream.js";
import { Strip } from "/page/strip.js";
import { startTabs } from "/page/tabs.js";
import { startTheme } from "/page/theme.js";
import { deed, forgetDeeds, noteDeed, visitorId } from "/page/visitor.js";

const ANNOUNCE_AFTER_MS = 700;
const COLD_AGAIN_MS = 5000;
const WIDE = matchMedia("(min-width: 62rem)");

const visitor = visitorId();
const catalogue = new Catalogue();
const figures = new Figures();
const strip = new Strip(part("strip"), catalogue, (itemId) => act(itemId, "view", current?.recommendation_id));
const knows = new Knows({ body: part("knows-body"), brief: part("knows-brief") }, catalogue, visitor, forget);
const cart = new Cart(
  { open: part("cart-open"), close: part("cart-close"), dialog: part("cart"), lines: part("cart-lines"), empty: part("cart-empty"), total: part("cart-total"), buy: part("cart-buy"), count: part("cart-count") },
  catalogue, act,
);
const shelf = new Shelf({ categories: part("categories"), products: part("products"), hint: part("shelf-hint"), more: part("more") }, catalogue, act);
const others = new Others({ list: part("others"), pause: part("pause"), hint: part("others-hint") }, catalogue);
const showOperations = startOperations(part("charts"), part("facts"), figures);

/** The ranking on the screen. @type {any} */
let current = null;
let tab = "tab-shop";
let announcing = 0;
/** When events were clicked whose ranking has not come yet, epoch ms. @type {Map<string, number>} */
const waiting = new Map();

/** Something was done with an item: send it, and show the ranking that comes back. */
async function act(itemId, eventType, recommendationId = undefined) {
  const event = { user_id: visitor, item_id: itemId, event_type: eventType, event_id: newEventId() };
  waiting.set(event.event_id, now());
  noteDeed(itemId, eventType);
  shelf.mark(itemId);
  if (eventType === "add_to_cart") cart.add(itemId);
  if (eventType === "purchase") cart.drop(itemId);
  if (recommendationId !== undefined) event.recommendation_id = recommendationId;
  try {
    const { recommendation } = await send(event, () => note(part("notes"), "Your click waits: Ouzel does not take it now."));
    if (recommendation !== null) arrived(recommendation);
  } catch (problem) {
    waiting.delete(event.event_id);
    note(part("notes"), `Your click was not taken: ${problem.message}.`);
  }
}

function now() {
  return performance.timeOrigin + performance.now();
}

/** Tell how long it took, where a ranking is for a click of this page. It has just been put on the screen. */
function time(ranking, answered) {
  const clicked = waiting.get(ranking.trigger_event_id);
  if (clicked === undefined) return;
  for (const eventId of [...waiting.keys()]) {
    waiting.delete(eventId); // this one, and those before it: its ranking overtook theirs
    if (eventId === ranking.trigger_event_id) break;
  }
  requestAnimationFrame(() => {
    const drawn = now();
    knows.time({ clicked, generated: ranking.generated_at, answered, drawn });
    document.documentElement.dataset.drawn = (drawn - answered).toFixed(1);
  });
}

/** Show a ranking, from wherever it comes first, unless it or a newer one is on the screen. */
function arrived(ranking) {
  const known = current?.recommendation_id === ranking.recommendation_id && current.items.length === ranking.items.length;
  if (known || (current !== null && !replaces(ranking, current))) return;
  const answered = now();
  current = ranking;
  const moved = strip.show(ranking);
  knows.show(ranking);
  part("for-you-hint").textContent = hint(ranking.prefix.at(-1));
  time(ranking, answered);
  announce(ranking, moved);
  learnNames(ranking);
}

/** What is made of a session stands above what is popular, whichever answer comes first; else the newer one stands. */
function replaces(ranking, shown) {
  const [personal, shownPersonal] = [ranking.prefix.length > 0, shown.prefix.length > 0];
  return personal === shownPersonal ? ranking.generated_at >= shown.generated_at : personal;
}

/** What the ranking comes after. */
function hint(itemId) {
  return itemId === undefined ? "Popular with everybody now. Click something, and watch." : `Fresh after your last click: ${catalogue.nameOf(itemId)}`;
}

/** Names that came later than the ranking are written into it. */
async function learnNames(ranking) {
  const ids = [...ranking.prefix, ...ranking.items.flatMap((item) => [item.item_id, item.because_item_id ?? item.item_id])];
  if ((await catalogue.learn(ids).catch(() => false)) && current === ranking) {
    strip.rename(ranking.items);
    part("for-you-hint").textContent = hint(ranking.prefix.at(-1));
    knows.show(ranking);
  }
}

/** Tell who cannot see it, once it has settled. */
function announce(ranking, moved) {
  clearTimeout(announcing);
  const first = ranking.items.find((item) => moved.has(item.item_id));
  if (first === undefined || ranking.prefix.length === 0) return;
  announcing = setTimeout(() => {
    const fresh = [...moved.values()].filter((places) => places === null).length;
    const reason = inWords(first, (id) => catalogue.nameOf(id), deed);
    part("announcer").textContent = `For you has changed, ${fresh} new. First: ${catalogue.nameOf(first.item_id)}, ${reason.before} ${reason.name}`.trim();
  }, ANNOUNCE_AFTER_MS);
}

/** Delete this visitor, and look at what is left. */
async function forget() {
  knows.forget.disabled = true;
  try {
    const { partitions } = await ask(`/v1/users/${encodeURIComponent(visitor)}`, { method: "DELETE" });
    forgetDeeds();
    cart.empty();
    shelf.unmark();
    knows.clear();
    await anew();
    knows.forgotten.textContent = `Forgotten: the deletion is on all ${partitions} partitions, and ${current?.prefix.length ? "something is still known" : "nothing of you is left here"}.`;
  } catch (problem) {
    knows.forgotten.textContent = `Not forgotten: ${problem.message}.`;
  } finally {
    knows.forget.disabled = false;
  }
}

/** After a deletion, here or elsewhere. */
async function anew() {
  current = null;
  waiting.clear();
  await cold();
}

/** The ranking as it stands: of this visitor, or of whoever nothing is known of. */
async function cold() {
  const ranking = await ask(`/v1/recommendations/${encodeURIComponent(visitor)}`).catch(() => null);
  if (ranking !== null && (ranking.items.length > 0 || ranking.prefix.length > 0)) arrived(ranking);
}

/** While nothing was clicked, what is popular changes by itself. */
async function keepWarm() {
  for (;;) {
    if (!document.hidden && (current === null || current.prefix.length === 0)) await cold();
    await new Promise((resolve) => setTimeout(resolve, current === null ? COLD_AGAIN_MS / 5 : COLD_AGAIN_MS));
  }
}

function followMe() {
  return follow(`/v1/users/${encodeURIComponent(visitor)}/stream`, (name, data) => {
    if (name === "ranking") arrived(data);
    if (name === "removed") anew();
  });
}

function askForKey() {
  const dialog = part("key");
  if (!dialog.open) dialog.showModal();
}

function start() {
  startTheme(part("theme"));
  const look = () => others.watch(tab === "tab-live" && !document.hidden);
  startTabs([part("tab-shop"), part("tab-live")], (id) => {
    tab = id;
    look();
    if (id === "tab-live") showOperations();
  });
  let stopFollowing = followMe();
  document.addEventListener("visibilitychange", () => {
    look();
    stopFollowing();
    if (!document.hidden) stopFollowing = followMe();
  });
  const fit = () => part("knows").toggleAttribute("open", WIDE.matches);
  WIDE.addEventListener("change", fit);
  fit();

  let asked = false;
  const connect = () => {
    const state = stateOf(figures.trouble.value, figures.latest.value);
    showConnection({ pill: part("connection"), word: part("connection-word"), banner: part("banner"), sentence: part("banner-words"), key: part("key-open") }, state);
    if (state === "locked" && !asked) askForKey();
    if (state === "live") part("key").close(); // an answer to the old key may have opened it again
    asked ||= state === "locked";
  };
  figures.trouble.follow(connect);
  figures.latest.follow(() => {
    connect();
    knows.figures(figures);
    if (tab === "tab-live") showOperations();
  });
  part("key-open").addEventListener("click", askForKey);
  part("key-cancel").addEventListener("click", () => part("key").close());
  part("key-form").addEventListener("submit", () => {
    useKey(part("key-input").value.trim());
    part("key-input").value = "";
    asked = false;
    shelf.open();
  });
  figures.run();
  shelf.open();
  keepWarm();
}

start();
