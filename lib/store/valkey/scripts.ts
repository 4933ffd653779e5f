/**
 * What the server does in one step each. Time is the server's; nobody else's clock counts.
 *
 * The fence names the last process that led, and a number that grows with each. Only that process may write, so one that
 * was stopped or cut off while another took over can do no harm, however late its commands arrive.
 */

/** KEYS lease, fence; ARGV owner, ms. Answers {fence} to the leader, otherwise {0, owner, ms left}. May be asked again. */
export const ACQUIRE = `
if redis.call('HGET', KEYS[2], 'owner') ~= ARGV[1] then
  local owner = redis.call('GET', KEYS[1])
  if owner then return {0, owner, redis.call('PTTL', KEYS[1])} end
  redis.call('HINCRBY', KEYS[2], 'number', 1)
  redis.call('HSET', KEYS[2], 'owner', ARGV[1])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {tonumber(redis.call('HGET', KEYS[2], 'number'))}
`;

/** KEYS lease, fence; ARGV owner, ms. 1: the lease is as new, also when it had run out and nobody took it. */
export const RENEW = `
if redis.call('HGET', KEYS[2], 'owner') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`;

/** KEYS lease; ARGV owner. */
export const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`;

/**
 * KEYS fence, meta, and what the steps name by number; ARGV owner, commit before, this commit, then steps: put KEY FIELD
 * VALUE, drop KEY FIELD, clear KEY. The same commit may be asked for again and again: it happens once. DIVERGED: the
 * server does not hold what it answered to have kept, or somebody else wrote.
 */
export const COMMIT = `
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 'FENCED' end
local last = redis.call('HGET', KEYS[2], 'commit') or ''
if last == ARGV[3] then return 'OK' end
if last ~= ARGV[2] then return 'DIVERGED' end
local i = 4
while i <= #ARGV do
  local key = KEYS[tonumber(ARGV[i + 1])]
  if ARGV[i] == 'put' then
    redis.call('HSET', key, ARGV[i + 2], ARGV[i + 3])
    i = i + 4
  elseif ARGV[i] == 'drop' then
    redis.call('HDEL', key, ARGV[i + 2])
    i = i + 3
  else
    redis.call('DEL', key)
    i = i + 2
  end
end
redis.call('HSET', KEYS[2], 'commit', ARGV[3])
return 'OK'
`;
