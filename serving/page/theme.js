// The button that switches between the system's theme, light and dark. frame.css sets each colour
// with light-dark().

const ORDER = ["auto", "light", "dark"];

/** @param {HTMLButtonElement} button */
export function startTheme(button) {
  let now = document.documentElement.dataset.theme ?? "auto";
  const show = () => {
    button.textContent = now;
    button.setAttribute("aria-label", `Theme: ${now}`);
  };
  button.addEventListener("click", () => {
    now = ORDER[(ORDER.indexOf(now) + 1) % ORDER.length];
    if (now === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now;
    try {
      localStorage.setItem("ouzel.theme", now);
    } catch {
      // No storage: the choice lasts until the page is left.
    }
    show();
  });
  show();
}
