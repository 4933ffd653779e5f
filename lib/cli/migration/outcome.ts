import type { MigrationView } from '../../services/migration-api.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

/** What became of all that was asked for. */
export interface Outcome {
  /** Over, each as well as not. */
  readonly migrations: readonly MigrationView[];
  /** Ids of those that were not begun, because something stands in their way. */
  readonly refused: readonly string[];
}

export const isMoved = ({ phase }: MigrationView): boolean => phase === 'done' || phase === 'finished';

/** Some moved and some not is told from none moved: a script may go on with the first. */
export function exitCodeOfMoves({ migrations, refused }: Outcome): ExitCode {
  const moved = migrations.filter(isMoved).length;
  const left = migrations.length - moved + refused.length;
  if (left === 0) return EXIT.ok;
  return moved === 0 ? EXIT.failed : EXIT.partly;
}
