// Connects the parts of the page: a click sends an event, and the new ranking updates the strip.
// Read this file first.

import { ask, useKey } from "/page/api.js";
import { Cart } from "/page/cart.js";
import { Catalogue } from "/page/catalogue.js";
import { showConnection, stateOf } from "/page/connection.js";
import { part } from "/page/element.js";
import { newEventId, post } from "/page/events.js";
import { Figures } from "/page/figures.js";
import { Knows } from "/page/knows.js";
import { spelled } from "/page/marks.js";
import { note } from "/page/notes.js";
import { startOperations } from "/page/operations.js";
import { Others } from "/page/others.js";
import { Outbox } from "/page/outbox.js";
import { Pending } from "/page/pending.js";
import { inWords } from "/page/reasons.js";
import { Shelf } from "/page/shelf.js";
import { follow } from "/page/stream.js";
import { Strip } from "/page/strip.js";
import { startTabs } from "/page/tabs.js";
import { startTheme } from "/page/theme.js";
import { forgetActions, lastAction, recordAction, visitorId } from "/page/visitor.js";

const ANNOUNCE_AFTER_MS = 700;
const REFRESH_POPULAR_MS = 5000;
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
const outbox = new Outbox(post);
const pending = new Pending(part("pending"), part("for-you-hint"), (id) => catalogue.shown(id), now);

/** Send what the visitor did with an item, and show the ranking that comes back. */
async function act(itemId, eventType, recommendationId = undefined) {
  const event = { user_id: visitor, item_id: itemId, event_type: eventType, event_id: newEventId() };
  recordAction(itemId, eventType);
  shelf.mark(itemId);
  if (eventType === "add_to_cart") cart.add(itemId);
  if (eventType === "purchase") cart.drop(itemId);
  if (recommendationId !== undefined) event.recommendation_id = recommendationId;
  await send(event);
}

/** Send an event until Ouzel has answered. The ranking may also arrive on the event stream. */
async function send(event) {
  pending.add(event.event_id, event.item_id);
  try {
    const { recommendation } = await outbox.send(event, () => note(part("notes"), "Click saved; it will be sent when Ouzel is reachable."));
    pending.stored(event.event_id);
    if (recommendation !== null) arrived(recommendation);
  } catch (problem) {
    pending.drop(event.event_id);
    note(part("notes"), `Click not recorded: ${problem.message}.`);
  }
}

function now() {
  return performance.timeOrigin + performance.now();
}

/**
 * Show how long a ranking took, if a click on this page caused it. Call this right after the
 * ranking was drawn.
 */
function time(ranking, answered) {
  const clicked = pending.ranked(ranking.trigger_event_id);
  if (clicked === null) return;
  requestAnimationFrame(() => {
    const drawn = now();
    knows.time({ clicked, generated: ranking.generated_at, answered, drawn });
    document.documentElement.dataset.drawn = (drawn - answered).toFixed(1);
  });
}

/**
 * Show a ranking unless it or a newer one is on the screen already. The same ranking may arrive
 * twice: as the answer to a click, and on the event stream.
 */
function arrived(ranking) {
  const known = current?.recommendation_id === ranking.recommendation_id && current.items.length === ranking.items.length;
  if (known || (current !== null && !replaces(ranking, current))) return;
  const answered = now();
  current = ranking;
  const moved = strip.show(ranking);
  knows.show(ranking);
  hint(ranking.prefix.at(-1));
  time(ranking, answered);
  announce(ranking, moved);
  loadNames(ranking);
}

/**
 * Whether a ranking replaces the shown one. A ranking of the session always replaces a popular one;
 * otherwise the newer one wins.
 */
function replaces(ranking, shown) {
  const [personal, shownPersonal] = [ranking.prefix.length > 0, shown.prefix.length > 0];
  return personal === shownPersonal ? ranking.generated_at >= shown.generated_at : personal;
}

/** The line beside the heading: it names the click that the ranking answers. */
function hint(itemId) {
  const words = itemId === undefined ? ["Popular right now. Click a product to see these change."] : ["Updated after your click on ", catalogue.shown(itemId)];
  part("for-you-hint").replaceChildren(...words);
}

/** Load names that the catalogue lacks, and write them into the ranking that is shown. */
async function loadNames(ranking) {
  const ids = [...ranking.prefix, ...ranking.items.flatMap((item) => [item.item_id, item.because_item_id ?? item.item_id])];
  if ((await catalogue.load(ids).catch(() => false)) && current === ranking) {
    strip.rename(ranking.items);
    hint(ranking.prefix.at(-1));
    knows.show(ranking);
  }
}

/** Announce the new ranking to screen readers, once it has not changed for a moment. */
function announce(ranking, moved) {
  clearTimeout(announcing);
  const first = ranking.items.find((item) => moved.has(item.item_id));
  if (first === undefined || ranking.prefix.length === 0) return;
  announcing = setTimeout(() => {
    const fresh = [...moved.values()].filter((places) => places === null).length;
    const reason = inWords(first, (id) => catalogue.nameOf(id), lastAction);
    part("announcer").textContent = `Recommendations updated: ${fresh} new. First: ${catalogue.nameOf(first.item_id)}, ${reason.before} ${reason.name}`.trim();
  }, ANNOUNCE_AFTER_MS);
}

/** Ask Ouzel to delete this visitor, then show what Ouzel answers for them now. */
async function forget() {
  knows.forget.disabled = true;
  outbox.clear();
  try {
    const { partitions } = await ask(`/v1/users/${encodeURIComponent(visitor)}`, { method: "DELETE" });
    forgetActions();
    cart.empty();
    shelf.unmark();
    knows.clear();
    await startOver();
    knows.forgotten.textContent = `The deletion was sent to all ${partitions} partitions. ${current?.prefix.length ? "Your old ranking has not been removed yet." : "Ouzel knows nothing about you now."}`;
  } catch (problem) {
    knows.forgotten.textContent = `Not deleted: ${spelled(problem.message)}.`;
  } finally {
    knows.forget.disabled = false;
  }
}

/** Show the popular ranking again after a deletion, from this tab or from elsewhere. */
async function startOver() {
  current = null;
  pending.clear();
  await loadRanking();
}

/**
 * Load the current ranking: this visitor's own, or the popular one if Ouzel knows nothing about
 * them.
 */
async function loadRanking() {
  const ranking = await ask(`/v1/recommendations/${encodeURIComponent(visitor)}`).catch(() => null);
  if (ranking !== null && (ranking.items.length > 0 || ranking.prefix.length > 0)) arrived(ranking);
}

/** Reload the popular ranking every few seconds until the first click: other visitors change it. */
async function refreshPopular() {
  for (;;) {
    if (!document.hidden && (current === null || current.prefix.length === 0)) await loadRanking();
    await new Promise((resolve) => setTimeout(resolve, current === null ? REFRESH_POPULAR_MS / 5 : REFRESH_POPULAR_MS));
  }
}

function followVisitor() {
  return follow(`/v1/users/${encodeURIComponent(visitor)}/stream`, (name, data) => {
    if (name === "ranking") arrived(data);
    if (name === "removed") startOver();
  });
}

function askForKey() {
  const dialog = part("key");
  if (!dialog.open) dialog.showModal();
}

function start() {
  startTheme(part("theme"));
  const followOthers = () => others.watch(tab === "tab-live" && !document.hidden);
  startTabs([part("tab-shop"), part("tab-live")], (id) => {
    tab = id;
    followOthers();
    if (id === "tab-live") showOperations();
  });
  let stopFollowing = followVisitor();
  document.addEventListener("visibilitychange", () => {
    followOthers();
    stopFollowing();
    if (!document.hidden) stopFollowing = followVisitor();
  });
  const foldPanel = () => part("knows").toggleAttribute("open", WIDE.matches);
  WIDE.addEventListener("change", foldPanel);
  foldPanel();

  let askedForKey = false;
  const updateConnection = () => {
    const state = stateOf(figures.trouble.value, figures.latest.value);
    showConnection({ pill: part("connection"), word: part("connection-word"), banner: part("banner"), sentence: part("banner-words"), key: part("key-open") }, state);
    pending.connection(state);
    if (state === "locked" && !askedForKey) askForKey();
    if (state === "live") part("key").close(); // A late answer to the old key may have opened the dialog again.
    askedForKey ||= state === "locked";
  };
  figures.trouble.follow(updateConnection);
  figures.latest.follow(() => {
    updateConnection();
    knows.figures(figures);
    if (tab === "tab-live") showOperations();
  });
  part("key-open").addEventListener("click", askForKey);
  part("key-cancel").addEventListener("click", () => part("key").close());
  part("key-form").addEventListener("submit", () => {
    useKey(part("key-input").value.trim());
    part("key-input").value = "";
    askedForKey = false;
    shelf.open();
  });
  figures.run();
  for (const event of outbox.left()) send(event);
  shelf.open();
  refreshPopular();
}

start();
