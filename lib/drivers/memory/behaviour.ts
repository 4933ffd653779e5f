/** How a make-believe process behaves. */
export interface Behaviour {
  /** Milliseconds from start to ready; null: never. */
  readonly readyMs: number | null;
  /** It ends by itself so many milliseconds after its start; null: never. */
  readonly livesMs: number | null;
  readonly exitCode: number;
  /** Milliseconds from its stop signal to its end; null: it ignores the signal. */
  readonly stopMs: number | null;
  /** Who listens on its port once it is ready. */
  readonly listener: 'self' | 'other' | 'none';
  /** Whether the programs that clean it after a lease succeed. */
  readonly cleanable: boolean;
  /** Whether the programs that make room for it in services, or take it away, succeed. */
  readonly roomable: boolean;
}

export const WELL_BEHAVED: Behaviour = {
  readyMs: 1,
  livesMs: null,
  exitCode: 1,
  stopMs: 1,
  listener: 'self',
  cleanable: true,
  roomable: true,
};
