"""A headless Chromium for tests of the page."""

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
from support.processes.running import wait_until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WIDTHS = {1440: 900, 768: 1024, 390: 844}
PATIENCE_S = 60.0


class Page:
    """The page in a browser. Elements are selected by CSS selectors."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.address = driver, address

    def open(self, path: str = "/") -> None:
        """Load a path of the page."""
        self.driver.get(self.address + path)

    def all(self, selector: str) -> list[WebElement]:
        """Every element that matches now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of every element that matches, visible or not."""
        texts: list[str] = self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)
        return texts

    def text(self, selector: str) -> str:
        """The text of the only element that matches."""
        (text,) = self.texts(selector)
        return text

    def click(self, selector: str) -> None:
        """Click the first match as a person does: an element that covers it gets the click."""
        element = self.all(selector)[0]
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script and return its result."""
        return self.driver.execute_script(script, *arguments)

    def run_async(self, script: str, *arguments: Any) -> Any:
        """Run a script and return what it passes to the callback in its last argument."""
        return self.driver.execute_async_script(script, *arguments)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition is true; ``what`` names it in the failure."""

        def now() -> bool:
            try:
                return condition()
            except (StaleElementReferenceException, IndexError, ValueError):
                return False

        wait_until(now, what, PATIENCE_S)

    def wide(self, width: int) -> None:
        """Change the width of the screen, and wait until the page has its new layout."""
        size = {"width": width, "height": WIDTHS[width], "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.run_async("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def prefer(self, **features: str) -> None:
        """Set the preferences of the system, for example ``color_scheme="dark"``."""
        preferences = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preferences})

    def online(self, is_online: bool) -> None:
        """Cut or restore the network."""
        self.driver.set_network_conditions(offline=not is_online, latency=0, throughput=-1)

    def console(self) -> list[str]:
        """Errors, warnings and violations of the policy in the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@contextmanager
def browsing(address: str) -> Iterator[Page]:
    """Open a browser; it ends with the context."""
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
    """The folder for pictures of the page: build/page."""
    folder = Path(__file__).parents[3] / "build" / "page"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
