import type { IncomingMessage } from 'node:http';
import { BunkhouseError } from '../domain/errors.ts';
import type { Actor } from '../domain/state.ts';
import { isVisitor } from '../domain/visitor.ts';
import type { LeaseApi, LeaseView } from '../services/lease-api.ts';
import { type BotPath, refuseClimbing } from './bot-path.ts';
import { credentialOf } from './credentials.ts';

/** Another address than a bot's own. */
export interface OtherAddress {
  /** Somebody without a token who is let in all the same; null: a token is needed. */
  readonly guest: Actor | null;
  /** Which bot is meant, and as whom the caller gets there. Throws NOT_FOUND. */
  find(caller: Actor): { readonly actor: Actor; readonly path: BotPath };
}

/** Null: not such an address. */
export type OtherAddresses = (req: IncomingMessage) => OtherAddress | null;

export interface ContainerPathOptions {
  readonly leases: Pick<LeaseApi, 'get'>;
  /** Of what `POST /container` hands out; null: there are no such addresses. */
  readonly template: string | null;
  /** Counts a request without a token; null: it needs one. Throws RATE_LIMITED. */
  readonly admitVisitor: (req: IncomingMessage) => Actor | null;
}

const LEASE_ID = /^[a-z0-9]{8,64}$/;

const NOTHING: Pick<LeaseView, 'owner' | 'instanceId' | 'template' | 'end'> = {
  owner: '',
  instanceId: '',
  template: '',
  end: null,
};

/**
 * `/container/ID/…`: a bot by the id of the lease it is on, so that nobody has it longer than the lease lasts. Without a token
 * the id is the proof, and only where it was handed out without one. Throws NOT_FOUND, INVALID.
 */
export function createContainerPaths({ leases, template, admitVisitor }: ContainerPathOptions): OtherAddresses {
  const find = (id: string, caller: Actor): { actor: Actor; bot: string } => {
    const { owner, instanceId: bot, ...lease } = LEASE_ID.test(id) ? leases.get({ role: 'admin' }, id) : NOTHING;
    const visiting = caller.role === 'owner' && isVisitor(caller.owner);
    const isOut = lease.template === template && lease.end === null;
    if (isOut && (!visiting || isVisitor(owner))) return { bot, actor: visiting ? { role: 'owner', owner } : caller };
    throw new BunkhouseError('NOT_FOUND', `there is no container ${id.slice(0, 64)}`);
  };

  return (req) => {
    const split = template === null ? null : splitContainerPath(req.url ?? '');
    if (split === null) return null;
    return {
      guest: credentialOf(req.headers) === null ? admitVisitor(req) : null,
      find(caller) {
        const { actor, bot } = find(split.id, caller);
        return { actor, path: { ...split, bot, sandboxed: true } };
      },
    };
  };
}

// Private

/** `/container/ID` itself is the bot's root, not a place to be sent on from: any method is meant for the bot. */
function splitContainerPath(url: string): Omit<BotPath, 'bot' | 'sandboxed'> | null {
  const [, id, path = '/', query = ''] = /^\/container\/([^/?#]+)(\/[^?#]*)?(\?[^#]*)?$/.exec(url) ?? [];
  if (id === undefined) return null;
  refuseClimbing(path);
  return { id, prefix: `/container/${id}`, rest: path + query, query };
}
