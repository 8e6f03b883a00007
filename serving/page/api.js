// Asks the API, with the key where there is one. Whatever goes wrong is a Problem.

import { recall, remember } from "/page/memory.js";

const TIMEOUT_MS = 10_000;

export class Problem extends Error {
  /** `status` 0: no answer at all. `retryAfterMs` is what the server wishes, null where it says nothing. */
  constructor(status, title, retryAfterMs = null) {
    super(title);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status === 503;
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

/** The answer's JSON. @throws {Problem} */
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
    throw new Problem(0, "no answer");
  }
  if (!answer.ok) throw await problem(answer);
  return answer.status === 204 ? null : answer.json();
}

/** What a refusal says. */
export async function problem(answer) {
  const told = await answer.json().catch(() => ({}));
  const seconds = Number(answer.headers.get("retry-after"));
  return new Problem(answer.status, told.title ?? `status ${answer.status}`, seconds > 0 ? seconds * 1000 : null);
}
