/** Bot ids: case-sensitive, no path characters, never starting with a dot or dash. */
export const INSTANCE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** Owners come from other systems (user ids), so they may carry `@` and `:`. */
export const OWNER_ID = /^[A-Za-z0-9][A-Za-z0-9._@:-]{0,62}$/;
/** Template, trust group and location names: they become parts of container names, so lower case. */
export const NAME = /^[a-z0-9][a-z0-9-]{0,30}$/;
/** Container names: valid for Docker, Kubernetes and the file system alike. */
export const CONTAINER_NAME = /^[a-z0-9][a-z0-9-]{0,126}$/;
/** Paths of a bot's files: relative, forward slashes, no empty, `.` or `..` part; not `__proto__`, which is no key for an object. */
export const FILE_PATH = /^(?!\/)(?!__proto__$)(?!.*(?:^|\/)\.{0,2}(?:\/|$))[A-Za-z0-9._/@ -]{1,255}$/;
