//! A proxy that runs: its pools and the ways to them, and how a reload changes both.

use std::path::Path;

use http::Uri;
use tower_tps::Pool;
use tower_tps::observe::RunLog;
use tower_tps::pool;
use tower_tps::sim::Engine;

use super::admin::{Recent, Token};
use super::closing;
use super::config::{Config, PoolConfig};
use super::pools::Pools;
use super::routes::{Route, Routes};
use super::tls::Certificate;
use super::upstream::Connector;
use crate::failure::Failure;
use crate::tokenizers;
use crate::values::Upstream;

/// All that serves requests, and what it was made of.
pub(super) struct Running {
    config: Config,
    engine: Option<Engine>,
    pub(super) certificate: Option<Certificate>,
    pub(super) pools: Pools,
    /// What the requests of all pools were like.
    pub(super) recent: Recent,
    pub(super) routes: Routes,
    log: Option<RunLog>,
    /// Pools that were taken away, each until its last request has been told.
    leaving: Vec<Pool>,
}

impl Running {
    /// Starts all that the configuration asks for, or nothing: the log is begun once
    /// nothing else can fail.
    pub(super) async fn start(config: Config) -> Result<Self, Failure> {
        let certificate = config.tls.as_ref().map(Certificate::read).transpose()?;
        let asks_for_engine = config.pools.iter().any(|pool| pool.upstream == Upstream::Sim);
        let engine = if asks_for_engine { Some(engine().await?) } else { None };
        let mut running = Self {
            engine,
            certificate,
            pools: Pools::default(),
            recent: Recent::default(),
            routes: Routes::default(),
            log: None,
            leaving: Vec::new(),
            config,
        };
        let builders =
            running.config.pools.iter().map(|pool| builder(&running.config, pool, &running.recent));
        let builders = builders.collect::<Result<Vec<_>, _>>()?;
        let links = links(&running.config)?;
        running.log = running.config.log.as_deref().map(|path| log(path, &running.config)).transpose()?;
        let pools =
            builders.into_iter().map(|builder| running.build(builder)).collect::<Result<Vec<_>, _>>()?;
        running.routes.replace(running.ways(&running.config, links, &pools)?);
        running.pools.replace(pools);
        Ok(running)
    }

    /// What it was made of.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Goes on by another configuration: caps, ways and pools change, and no stream
    /// is cut. What cannot change while it runs is an error, and then nothing changes.
    pub(super) async fn reload(&mut self, config: Config, token: Option<&Token>) -> Result<(), Failure> {
        self.config.can_become(&config)?;
        self.leaving.retain(|pool| !pool.is_closed());
        if let Some(pool) = config.pools.iter().find(|pool| self.is_leaving(&pool.name)) {
            let why = "the pool that had this name has not ended yet";
            return Err(Failure::usage(format!("{}name", pool.place), why, "reload again when it has"));
        }
        if self.engine.is_none() && config.pools.iter().any(|pool| pool.upstream == Upstream::Sim) {
            self.engine = Some(engine().await?);
        }
        // First all that may fail.
        let certificate = config.tls.as_ref().map(Certificate::read).transpose()?;
        let links = links(&config)?;
        let known: Vec<_> = config.pools.iter().map(|pool| self.pools.get(&pool.name)).collect();
        let new = config.pools.iter().zip(&known).filter(|(_, known)| known.is_none());
        let new = new.map(|(pool, _)| builder(&config, pool, &self.recent)).collect::<Result<Vec<_>, _>>()?;
        if let (Some(token), Some(file)) = (token, &config.admin_token_file) {
            token.replace(file)?;
        }
        if let (Some(certificate), Some(renewed)) = (&self.certificate, certificate) {
            certificate.renew(&renewed);
        }
        let new = new.into_iter().map(|builder| self.build(builder)).collect::<Result<Vec<_>, _>>()?;
        let mut new = new.into_iter();
        let pools: Vec<_> = known.into_iter().filter_map(|known| known.or_else(|| new.next())).collect();
        let ways = self.ways(&config, links, &pools)?;
        for (pool, to) in pools.iter().zip(&config.pools) {
            pool.set_cap(to.cap)
                .map_err(|error| Failure::usage(format!("{}cap", to.place), error, "see --help"))?;
        }
        self.routes.replace(ways);
        for pool in self.pools.replace(pools) {
            self.leaving.push(pool.clone());
            // It serves what it has, however long that takes.
            tokio::spawn(async move { closing::when_settled(&pool).await });
        }
        self.config = config;
        Ok(())
    }

    /// Opens the log anew, since its file was moved away.
    pub(super) fn reopen_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// How many lines of the log could not be written.
    pub(super) fn dropped(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.dropped().count())
    }

    /// All pools that have requests, those that were taken away included.
    pub(super) fn all_pools(&self) -> Vec<Pool> {
        self.pools.all().into_iter().chain(self.leaving.iter().cloned()).collect()
    }

    fn is_leaving(&self, name: &str) -> bool {
        self.leaving.iter().any(|pool| **pool.name() == *name)
    }

    fn build(&self, mut builder: pool::Builder) -> Result<Pool, Failure> {
        if let Some(log) = &self.log {
            builder = builder.observer(log.clone());
        }
        builder.build().map_err(|error| Failure::usage("cap", error, "see --help"))
    }

    fn ways(&self, config: &Config, links: Vec<Connector>, pools: &[Pool]) -> Result<Vec<Route>, Failure> {
        let ways = config.pools.iter().zip(links).zip(pools);
        ways.map(|((config, link), pool)| Ok(Route::new(config, pool, &self.base(config)?, link))).collect()
    }

    /// Where a pool's requests go.
    pub(super) fn base(&self, pool: &PoolConfig) -> Result<Uri, Failure> {
        match (&pool.upstream, &self.engine) {
            (Upstream::Url(url), _) => Ok(url.clone()),
            (Upstream::Sim, Some(engine)) => {
                engine.url().parse().map_err(|error| Failure::running("the engine's address", error))
            }
            (Upstream::Sim, None) => Err(Failure::running("the engine", "it did not start")),
        }
    }
}

/// The log that all pools write to.
fn log(path: &Path, config: &Config) -> Result<RunLog, Failure> {
    let log = RunLog::create(path).map_err(|error| {
        Failure::usage(format!("--log {}", path.display()), error, "give a file that can be written")
    })?;
    let log = match &config.run_id {
        Some(id) => log.run_id(id),
        None => log,
    };
    let log = match config.log_rotate {
        Some(size) => log.rotate(size),
        None => log,
    };
    Ok(log.pools(config.pools.len()).on_failure(|error| eprintln!("tps: --log: {error}")))
}

/// What connects to each pool's upstream.
fn links(config: &Config) -> Result<Vec<Connector>, Failure> {
    config.pools.iter().map(|pool| pool.protocol.connector(pool.limits.connect, &pool.place)).collect()
}

async fn engine() -> Result<Engine, Failure> {
    Engine::builder().start().await.map_err(|error| Failure::running("the engine", error))
}

/// A pool as it is configured, but for its log.
fn builder(config: &Config, pool: &PoolConfig, recent: &Recent) -> Result<pool::Builder, Failure> {
    let mut builder = Pool::builder(&pool.name)
        .cap(pool.cap)
        .classes(pool.admission.order())
        .sample_interval(config.sample_interval)
        .tokenizer(tokenizers::load(&pool.tokenizer)?)
        .observer(recent.clone());
    if let Some(waiting) = pool.max_queue {
        builder = builder.max_queue(waiting);
    }
    if let Some(timeout) = pool.queue_timeout {
        builder = builder.queue_timeout(timeout);
    }
    Ok(builder)
}
