import { POOL_IMAGE } from '../../lib/drivers/docker/images.ts';

/** Template `http`: the fixture bot of `fixtureBot(ID, 'server.py')` in Docker. */
export const HTTP_TEMPLATE = `name: http
image: ${POOL_IMAGE}
command: [python3, -u, bot.py]
env: { PORT: "{{port}}", HOST: "{{host}}", PASSWORD: x }
requiredFiles: [bot.py]
readiness: { kind: notify, startupSeconds: 20 }
checks: [{ kind: http, path: /, json: { bot_name: "{{id}}" } }]
checkEverySeconds: 1
`;
