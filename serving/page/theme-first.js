// Before the first paint, so that nobody who chose dark sees a white flash. A classic script: modules come later.
try {
  const chosen = localStorage.getItem("ouzel.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage: the system's choice stands.
}
