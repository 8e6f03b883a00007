// Calls the HTTP API, with the API key if the visitor entered one. Every failure is thrown as a
// Problem.

import { recall, remember } from "/page/memory.js";

const TIMEOUT_MS = 10_000;

export class Problem extends Error {
  /**
   * `status` is 0 if no answer came. `retryAfterMs` is the server's Retry-After, or null without
   * one.
   */
  constructor(status, title, retryAfterMs = null) {
    super(title);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

export function useKey(key) {
  remember("key", key);
}

/** @returns {Record<string, string>} */
export function authorization() {
  const key = recall("key");
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** Call a path of the API and return the JSON of the answer. @throws {Problem} */
export async function ask(path, { method = "GET", body = undefined } = {}) {
  const headers = authorization();
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Problem(0, "no answer from Ouzel");
  }
  if (!answer.ok) throw await problem(answer);
  return answer.status === 204 ? null : answer.json();
}

/** The Problem that an answer with an error status describes. */
export async function problem(answer) {
  const details = await answer.json().catch(() => ({}));
  const seconds = Number(answer.headers.get("retry-after"));
  return new Problem(answer.status, details.title ?? `HTTP status ${answer.status}`, seconds > 0 ? seconds * 1000 : null);
}
