import type { UpgradeAction, UpgradeFailure, UpgradeRecord } from '../domain/upgrade.ts';

/** What is left out is the usual. */
export interface UpgradeRequest {
  /** Left out: DEFAULT_TEMPLATE. */
  readonly template?: string;
  /** Of the new containers; left out: the template's own. */
  readonly image?: string;
  readonly surge?: number;
  readonly spacingSeconds?: number;
  readonly failureBudget?: number;
  /** Bots that their template holds back are moved all the same so many seconds after the start; left out: never. */
  readonly holdSeconds?: number;
}

/** What an upgrade means for one bot. */
export interface BotForecast {
  readonly instanceId: string;
  readonly container: string | null;
  /**
   * `stays`: it runs as the template is now. `restart`: a restart where it is would do. `move`: only a new container brings it.
   * `replace`: it waits in the reserve, and another is made in its place. `unknown`: nobody can say.
   */
  readonly needs: 'stays' | 'restart' | 'move' | 'replace' | 'unknown';
  readonly why: string;
}

export interface UpgradeForecast {
  readonly template: string;
  /** Of the new containers; null: the template has none. Local processes have none, whatever it is. */
  readonly image: string | null;
  readonly bots: readonly BotForecast[];
}

/** A bot on its way. `undone`: why it goes back; `trouble`: what keeps it from getting on; null: nothing. */
export interface Travelling {
  readonly bot: string;
  readonly phase: string;
  readonly undone: string | null;
  readonly trouble: string | null;
}

export interface UpgradeView extends Omit<UpgradeRecord, 'generation' | 'previousImage' | 'begunAt'> {
  /** Of the new containers; null: the template has none. */
  readonly image: string | null;
  /** Bots of old containers that are yet to move or to be replaced, those on their way not counted. */
  readonly left: number;
  readonly onTheirWay: readonly Travelling[];
  /** Bots that do not move now, and why. */
  readonly heldBack: readonly { readonly bot: string; readonly why: string }[];
  readonly failures: readonly UpgradeFailure[];
  /** Old containers that are still there. */
  readonly containers: readonly string[];
}

export interface DrainRequest {
  readonly container: string;
  readonly surge?: number;
  /** Also bots that their template holds back. */
  readonly force?: boolean;
}

export interface DrainView {
  readonly container: string;
  /** `closed`: its bots move out, or have. `open`: it takes bots. */
  readonly status: 'closed' | 'open';
  readonly since: string | null;
  readonly left: number;
  readonly onTheirWay: readonly Travelling[];
  readonly heldBack: readonly { readonly bot: string; readonly why: string }[];
  /** Free slots in other containers of its pool; for what does not fit there, new containers are made. */
  readonly roomElsewhere: number;
}

/** Rolling upgrades and drains, one method each. For admins only. */
export interface UpgradeApi {
  /** What an upgrade would mean for each bot; changes nothing. Throws INVALID (unknown template). */
  forecast(request: UpgradeRequest): UpgradeForecast;
  /** Durable when it resolves. Throws INVALID (unknown template), CONFLICT (another is under way). */
  start(request: UpgradeRequest): Promise<UpgradeView>;
  /** The latest of each template. */
  list(): readonly UpgradeView[];
  /** Throws NOT_FOUND. */
  get(template: string): UpgradeView;
  /** Throws NOT_FOUND, CONFLICT when its status does not allow it. */
  act(template: string, action: UpgradeAction): Promise<UpgradeView>;
  /** Durable when it resolves. Again with other figures changes these. Throws NOT_FOUND, CONFLICT. */
  drain(request: DrainRequest): Promise<DrainView>;
  undoDrain(container: string): Promise<DrainView>;
  drains(): readonly DrainView[];
}
