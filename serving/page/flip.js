// First, last, invert, play: elements glide from where they were, by transforms alone.

const EASE = { duration: 460, easing: "cubic-bezier(.2, .8, .2, 1)" };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Where elements are now. @param {Iterable<HTMLElement>} elements */
export function positions(elements) {
  return new Map(Array.from(elements, (element) => [element, element.getBoundingClientRect()]));
}

/** Play from those positions; an element that has none appears. @param {Iterable<HTMLElement>} elements */
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
