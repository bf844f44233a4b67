// The connection: states come in once a second, and after a restart of the proxy they come in again.

// Without a word for so long the connection is taken for dead.
const SILENCE = 5000;
const AGAIN = 1000;

const pools = new Map();
let instance = null;
let source = null;
let heardAt = Date.now();

const connection = (state, words) => {
  document.body.dataset.connection = state;
  say(document.getElementById("said"), words);
};

const names = () => {
  const nav = document.getElementById("names");
  nav.hidden = pools.size < 2;
  list(nav, [...pools.keys()], () => made("a"), (link, name) => {
    link.href = `#${encodeURIComponent(`pool-${name}`)}`;
    say(link, name);
  });
};

const show = (state) => {
  if (state.instance !== instance) {
    // Another run: nothing of the one before is of it.
    for (const pool of pools.values()) pool.root.remove();
    pools.clear();
    instance = state.instance;
  }
  const told = new Set(state.pools.map((status) => status.pool));
  for (const [name, pool] of pools) {
    if (told.has(name)) continue;
    pool.root.remove();
    pools.delete(name);
  }
  for (const status of state.pools) {
    if (!pools.has(status.pool)) {
      pools.set(status.pool, new Pool(status.pool));
      document.getElementById("main").append(pools.get(status.pool).root);
    }
    pools.get(status.pool).show(status, state.needs_token);
  }
  names();
  say(document.getElementById("version"), state.version);
  connection(state.ready ? "live" : "stopping", state.ready ? "live" : "stopping: what is under way may end");
};

const connect = () => {
  if (source) source.close();
  heardAt = Date.now();
  source = new EventSource("events");
  source.onmessage = (message) => {
    heardAt = Date.now();
    show(JSON.parse(message.data));
  };
  // It tries again by itself, unless it was answered with something else than events.
  source.onerror = () => {
    connection("lost", "reconnecting");
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN);
  };
};

connect();
setInterval(() => {
  if (source.readyState !== EventSource.CLOSED && Date.now() - heardAt > SILENCE) {
    connection("lost", "reconnecting");
    connect();
  }
}, AGAIN);
