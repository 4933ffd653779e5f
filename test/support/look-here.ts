import { lookInto } from '../../lib/backup/inspect-database.ts';
import type { Look } from '../../lib/backup/sqlite-inspector.ts';
import { messageOf } from '../../lib/domain/errors.ts';

/** The same look at the same database, in this process: what a test makes harms nobody, and hundreds of processes take minutes. */
export const lookHere: Look = async (order) => {
  try {
    return JSON.stringify({ found: lookInto(order) });
  } catch (error) {
    return JSON.stringify({ damage: messageOf(error) });
  }
};
