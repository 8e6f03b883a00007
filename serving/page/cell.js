/**
 * A value with readers: functions that it calls when it is set.
 * @template T
 */
export class Cell {
  #value;
  #readers = [];

  /** @param {T} value */
  constructor(value) {
    this.#value = value;
  }

  get value() {
    return this.#value;
  }

  /** @param {T} value */
  set(value) {
    const before = this.#value;
    this.#value = value;
    for (const read of this.#readers) read(value, before);
  }

  /** Call `read` now and at each `set`. @param {(value: T, before: T) => void} read */
  follow(read) {
    this.#readers.push(read);
    read(this.#value, this.#value);
  }
}
