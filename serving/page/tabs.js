// Tabs by the ARIA tab pattern: arrow keys move between them, and the address stores the choice.

/** @param {HTMLElement[]} tabs each with aria-controls @param {(id: string) => void} shown */
export function startTabs(tabs, shown) {
  const choose = (tab) => {
    for (const other of tabs) {
      const here = other === tab;
      other.setAttribute("aria-selected", String(here));
      other.tabIndex = here ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !here;
    }
    shown(tab.id);
  };
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => {
      history.replaceState(null, "", tab.id === tabs[0].id ? "#" : `#${tab.id.replace("tab-", "")}`);
      choose(tab);
      scrollTo({ top: 0 });
    });
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = tabs[(to + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  });
  const named = () => tabs.find((tab) => `#${tab.id.replace("tab-", "")}` === location.hash);
  addEventListener("hashchange", () => named() && choose(named()));
  choose(named() ?? tabs[0]);
}
