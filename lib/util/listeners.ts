/** Tells everybody who listens. One that throws keeps neither the teller nor the others from anything. */
export class Listeners<T> {
  readonly #onError: (error: unknown) => void;
  readonly #listeners = new Set<(value: T) => void>();

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** The returned function ends it. */
  add(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(value: T): void {
    for (const listener of this.#listeners) {
      try {
        listener(value);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
