// Sets the chosen theme before the first paint; otherwise a dark page would flash white. It is a
// classic script because modules run later.
try {
  const chosen = localStorage.getItem("ouzel.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage: the system's theme applies.
}
