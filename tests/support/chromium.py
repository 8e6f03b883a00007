"""A headless Chromium on the page, with what a tester asks of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from support.running import wait_until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WIDTHS = {1440: 900, 768: 1024, 390: 844}
PATIENCE_S = 60.0


class Page:
    """The page in a browser. Elements are found by CSS selectors."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.address = driver, address

    def open(self, path: str = "/") -> None:
        """Load it anew."""
        self.driver.get(self.address + path)

    def all(self, selector: str) -> list[WebElement]:
        """Every element there is now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """Their texts, as the page has them, shown or not."""
        found: list[str] = self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)
        return found

    def text(self, selector: str) -> str:
        """The text of the one."""
        (text,) = self.texts(selector)
        return text

    def click(self, selector: str) -> None:
        """Click the first, as a person does: what covers it would take the click."""
        element = self.all(selector)[0]
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def run_async(self, script: str, *arguments: Any) -> Any:
        """What a script gives to its last argument."""
        return self.driver.execute_async_script(script, *arguments)

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        """Until a condition is true."""

        def now() -> bool:
            try:
                return holds()
            except (StaleElementReferenceException, IndexError, ValueError):
                return False

        wait_until(now, what, PATIENCE_S)

    def wide(self, width: int) -> None:
        """Change the width of the screen, and wait until the page has taken notice: it folds a panel, which moves all below."""
        size = {"width": width, "height": WIDTHS[width], "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.run_async("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def prefer(self, **features: str) -> None:
        """What the system's settings say, as color_scheme="dark"."""
        told = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": told})

    def online(self, is_online: bool) -> None:
        """Cut the network, or mend it."""
        self.driver.set_network_conditions(offline=not is_online, latency=0, throughput=-1)

    def console(self) -> list[str]:
        """What the console was told since the last time: errors and violations of the policy, and warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@contextmanager
def browsing(address: str) -> Iterator[Page]:
    """A browser that ends with the context."""
    options = Options()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_script_timeout(PATIENCE_S)
    try:
        yield Page(driver, address)
    finally:
        driver.quit()


def screenshots() -> Path:
    """Where pictures of the page are kept: build/page."""
    folder = Path(__file__).parents[2] / "build" / "page"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
