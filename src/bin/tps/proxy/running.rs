//! A proxy that runs: its pools and the ways to them, and how a reload changes both.

use http::Uri;
use tower_tps::Pool;
use tower_tps::observe::{Dropped, RunLog};
use tower_tps::pool;
use tower_tps::sim::Engine;

use super::closing;
use super::config::{Config, PoolConfig};
use super::pools::Pools;
use super::routes::{Route, Routes};
use super::tls::Certificate;
use crate::failure::Failure;
use crate::tokenizers;
use crate::values::Upstream;

/// All that serves requests, and what it was made of.
pub(super) struct Running {
    config: Config,
    engine: Option<Engine>,
    pub(super) certificate: Option<Certificate>,
    pub(super) pools: Pools,
    pub(super) routes: Routes,
    dropped: Option<Dropped>,
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
            routes: Routes::default(),
            dropped: None,
            config,
        };
        let builders = running.config.pools.iter().map(|pool| builder(&running.config, pool));
        let builders = builders.collect::<Result<Vec<_>, _>>()?;
        let pools = running.build(builders)?;
        running.routes.replace(running.ways(&running.config, &pools)?);
        running.pools.replace(pools);
        Ok(running)
    }

    /// Where the first pool's requests go.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Goes on by another configuration: caps, ways and pools change, and no stream
    /// is cut. What cannot change while it runs is an error, and then nothing changes.
    pub(super) async fn reload(&mut self, config: Config) -> Result<(), Failure> {
        self.config.can_become(&config)?;
        if self.engine.is_none() && config.pools.iter().any(|pool| pool.upstream == Upstream::Sim) {
            self.engine = Some(engine().await?);
        }
        if let (Some(certificate), Some(files)) = (&self.certificate, &config.tls) {
            certificate.reread(files)?;
        }
        let mut pools = Vec::new();
        for pool in &config.pools {
            pools.push(match self.pools.get(&pool.name) {
                Some(pool) => pool,
                None => self.build(vec![builder(&config, pool)?])?.remove(0),
            });
        }
        let ways = self.ways(&config, &pools)?;
        for (pool, to) in pools.iter().zip(&config.pools) {
            pool.set_cap(to.cap)
                .map_err(|error| Failure::usage(format!("{}cap", to.place), error, "see the README"))?;
        }
        self.routes.replace(ways);
        for pool in self.pools.replace(pools) {
            // It serves what it has, however long that takes.
            tokio::spawn(async move { closing::when_settled(&pool).await });
        }
        self.config = config;
        Ok(())
    }

    /// How many lines of the log could not be written.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.as_ref().map_or(0, Dropped::count)
    }

    fn build(&mut self, builders: Vec<pool::Builder>) -> Result<Vec<Pool>, Failure> {
        let mut log = None;
        if let Some(path) = &self.config.log {
            let opened = RunLog::create(path).map_err(|error| {
                Failure::usage(format!("--log {}", path.display()), error, "give a file that can be written")
            })?;
            let opened = match &self.config.run_id {
                Some(id) => opened.run_id(id),
                None => opened,
            };
            self.dropped = Some(opened.dropped());
            log = Some(opened);
        }
        let mut pools = Vec::new();
        for mut builder in builders {
            if let Some(log) = log.take() {
                builder = builder.observer(log);
            }
            pools.push(builder.build().map_err(|error| Failure::usage("--cap", error, "see --help"))?);
        }
        Ok(pools)
    }

    fn ways(&self, config: &Config, pools: &[Pool]) -> Result<Vec<Route>, Failure> {
        let ways = config.pools.iter().zip(pools);
        ways.map(|(config, pool)| Route::new(config, pool, &self.base(config)?)).collect()
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

async fn engine() -> Result<Engine, Failure> {
    Engine::builder().start().await.map_err(|error| Failure::running("the engine", error))
}

/// A pool as it is configured, but for its log.
fn builder(config: &Config, pool: &PoolConfig) -> Result<pool::Builder, Failure> {
    let mut builder = Pool::builder(&pool.name)
        .cap(pool.cap)
        .classes(pool.admission.order())
        .sample_interval(config.sample_interval)
        .tokenizer(tokenizers::load(&pool.tokenizer)?);
    if let Some(waiting) = pool.max_queue {
        builder = builder.max_queue(waiting);
    }
    if let Some(timeout) = pool.queue_timeout {
        builder = builder.queue_timeout(timeout);
    }
    Ok(builder)
}
