import type { Command } from 'commander';
import type { Actor } from '../../domain/state.ts';
import { action } from '../action.ts';
import { show } from '../context.ts';
import { usageFailure } from '../failure.ts';
import { table } from '../text.ts';

interface Token {
  readonly id: string;
  readonly actor: Actor;
  readonly createdAt: string;
}

/** `tokens …`: who may use the API. */
export function tokensCommands(program: Command): void {
  const tokens = program.command('tokens').description('tokens of owners and administrators');
  const create = tokens
    .command('create')
    .description('make a token and print it, this once')
    .option('--owner <id>', 'for this owner: sees and changes only their bots')
    .option('--admin', 'for an administrator');
  action<{ owner?: string; admin?: boolean }>(create, async ({ context, options }) => {
    const body = actorOf(options);
    const reply = await context.client.call<Token & { token: string }>('POST', '/api/tokens', { body, once: true });
    show(context, reply, ({ token }) => `${token}\n`);
    context.note(`Kept nowhere else: store it now. Its id, to revoke it: ${reply.json.id}\n`);
  });
  action(tokens.command('list').description('tokens there are, without the tokens themselves'), async ({ context }) => {
    const reply = await context.client.call<{ tokens: Token[] }>('GET', '/api/tokens');
    show(context, reply, (page) => tokenTable(page.tokens, context.columns));
  });
  const revoke = tokens.command('revoke').argument('<id>').description('refuse a token from now on');
  action(revoke, async ({ context, args: [id = ''] }) => {
    const reply = await context.client.call<Token>('DELETE', `/api/tokens/${encodeURIComponent(id)}`);
    show(context, reply, (token) => `Token ${token.id} of ${who(token.actor)} is refused from now on.\n`);
  });
}

function actorOf({ owner, admin }: { owner?: string; admin?: boolean }): object {
  if (owner !== undefined && admin !== true) return { owner };
  if (owner === undefined && admin === true) return { role: 'admin' };
  throw usageFailure('Say for whom: either --owner ID or --admin.');
}

function tokenTable(tokens: readonly Token[], columns: number): string {
  if (tokens.length === 0) return 'No token but that of the administrator (ADMIN_TOKEN_FILE).\n';
  return table(
    ['ID', 'OF', 'MADE'],
    tokens.map(({ id, actor, createdAt }) => [id, who(actor), createdAt]),
    columns,
  );
}

const who = (actor: Actor): string => (actor.role === 'admin' ? 'an administrator' : actor.owner);
