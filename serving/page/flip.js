// Animates elements from their old to their new places by transforms alone (the FLIP technique:
// first, last, invert, play).

const EASE = { duration: 460, easing: "cubic-bezier(.2, .8, .2, 1)" };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** The current places of elements. @param {Iterable<HTMLElement>} elements */
export function positions(elements) {
  return new Map(Array.from(elements, (element) => [element, element.getBoundingClientRect()]));
}

/**
 * Move elements from their places in `before`. An element without a place there fades in.
 * @param {Iterable<HTMLElement>} elements
 */
export function play(before, elements) {
  if (calm.matches) return;
  for (const element of elements) {
    const was = before.get(element);
    const is = element.getBoundingClientRect();
    if (was === undefined) {
      element.animate([{ opacity: 0, transform: "translateY(10px) scale(.96)" }, { opacity: 1, transform: "none" }], EASE);
      continue;
    }
    const [x, y] = [was.left - is.left, was.top - is.top];
    if (x || y) element.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], EASE);
  }
}
