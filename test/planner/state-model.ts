import type { State } from '../../lib/domain/state.ts';
import type { Change } from '../../lib/store/store.ts';
import { aState } from './builders.ts';

/** A store without a disk, for models of what can happen: a change that throws has changed nothing. */
export class StateModel {
  state: State;

  constructor(state: State = aState([])) {
    this.state = state;
  }

  change<T>(change: Change<T>): T | null {
    try {
      const { state, result } = change(this.state);
      this.state = state;
      return result;
    } catch {
      return null;
    }
  }
}
