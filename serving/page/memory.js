// What this tab remembers until it is closed. Where there is no storage, until it is loaded again.

const held = new Map();

/** @param {string} name */
export function recall(name, otherwise = null) {
  if (held.has(name)) return held.get(name);
  try {
    const text = sessionStorage.getItem(`ouzel.${name}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function remember(name, value) {
  held.set(name, value);
  try {
    sessionStorage.setItem(`ouzel.${name}`, JSON.stringify(value));
  } catch {
    // In `held` alone, then.
  }
}
