// Stores values until this tab is closed. If the browser has no storage, they last until the tab is
// reloaded.

const values = new Map();

/** @param {string} name */
export function recall(name, otherwise = null) {
  if (values.has(name)) return values.get(name);
  try {
    const text = sessionStorage.getItem(`ouzel.${name}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function remember(name, value) {
  values.set(name, value);
  try {
    sessionStorage.setItem(`ouzel.${name}`, JSON.stringify(value));
  } catch {
    // No storage: `values` still has it.
  }
}
