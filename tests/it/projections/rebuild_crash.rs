//! Rebuild, abandon, roll back and retire, interrupted at random between any two statements. Readers always see a
//! generation that exists and is kept up to date, and at the end every operation can be continued.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use domain::{context::BoundedContext, envelope::RawEnvelope};
use projections::{
    QueryError,
    runtime::{
        AnyProjection, BatchLimits, GenerationState, Projection, ProjectionError, ReadModelFold, ReadModelGeneration,
        ReadModelRow, RebuildError, RebuildOptions, RebuildProgress, VerifyScope,
    },
};
use sqlx::{Connection as _, PgConnection, PgPool};
use tests::faults::{run_seed, seeded_choices::SeededChoices};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::projection_fixture::{ProjectionFixture, unreachable_registry};

/// What was done to the stores of all generations.
#[derive(Debug, Default)]
struct StorageContents {
    prepared: BTreeSet<ReadModelGeneration>,
    published: Option<ReadModelGeneration>,
    /// Whether the next call of each kind fails.
    failing: BTreeMap<&'static str, bool>,
}

/// A read model of nothing, so that only what the runtime itself does takes time. Each is a separate projection.
#[derive(Debug, Clone)]
struct EmptyProjection<const NUMBER: usize> {
    generation: ReadModelGeneration,
    stores: Arc<Mutex<StorageContents>>,
}

impl<const NUMBER: usize> EmptyProjection<NUMBER> {
    fn new() -> Self {
        Self { generation: ReadModelGeneration::FIRST, stores: Arc::default() }
    }

    async fn change_contents(
        &self,
        what: &'static str,
        change: impl FnOnce(&mut StorageContents),
    ) -> Result<(), QueryError> {
        // A storage is called over a network: a crash may happen before and after the call.
        tokio::task::yield_now().await;
        let failed = {
            let mut stores = self.stores.lock().unwrap();
            let failed = stores.failing.remove(what).unwrap_or_default();
            if !failed {
                change(&mut stores);
            }
            failed
        };
        tokio::task::yield_now().await;
        if failed {
            return Err(QueryError::Unavailable { store: "a store", source: "planted".into() });
        }
        Ok(())
    }
}

/// A fold of nothing.
struct FoldWithoutRows;

impl ReadModelFold for FoldWithoutRows {
    fn apply_event(&mut self, _event: &RawEnvelope) -> Result<(), ProjectionError> {
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        vec![]
    }
}

impl<const NUMBER: usize> Projection for EmptyProjection<NUMBER> {
    const NAME: &'static str = if NUMBER == 0 { "empty_one" } else { "empty_two" };

    type Change = ();

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 10, linger: Duration::from_millis(1), rebuild_events: 10 }
    }

    fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        Self { generation, stores: Arc::clone(&self.stores) }
    }

    fn project(_event: &RawEnvelope) -> Result<Vec<()>, ProjectionError> {
        Ok(vec![])
    }

    async fn apply(&self, _changes: &[()]) -> Result<(), ProjectionError> {
        Ok(())
    }

    async fn is_applied(&self, _change: &()) -> Result<bool, QueryError> {
        Ok(true)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        Ok(())
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.change_contents("prepare", |stores| {
            stores.prepared.insert(self.generation);
        })
        .await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.change_contents("discard", |stores| {
            stores.prepared.remove(&self.generation);
        })
        .await
    }

    async fn switch_direct_readers(&self) -> Result<(), QueryError> {
        self.change_contents("publish", |stores| stores.published = Some(self.generation)).await
    }

    fn fold(&self, _scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        Box::new(FoldWithoutRows)
    }

    async fn read_back(&self, _scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        Ok(vec![])
    }
}

/// What is done in a run.
const STEPS_PER_RUN: usize = 40;

/// The longest time until a crash.
const MAX_TIME_TO_CRASH: Duration = Duration::from_millis(700);

/// Carries `work` on so many times, or for some time, and then drops it where it stands: `None`.
async fn cut_off<T>(work: impl Future<Output = T>, after: u64) -> Option<T> {
    let (mut work, mut left) = (pin!(work), after);
    let cut = poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    });
    timeout(MAX_TIME_TO_CRASH, cut).await.ok().flatten()
}

/// Ends all other connections to a database.
const END_OTHERS: &str = "select pg_terminate_backend(pid) from pg_stat_activity
                          where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";

/// Turns off synchronous commits, for speed: this test does not crash Postgres itself.
async fn without_waiting_for_the_disk(field: &ProjectionFixture) {
    let mut connection = PgConnection::connect_with(&field.pool.connect_options()).await.unwrap();
    let database: String = sqlx::query_scalar("select current_database()").fetch_one(&mut connection).await.unwrap();
    let setting = format!("alter database {database} set synchronous_commit = off");
    sqlx::query(&setting).execute(&mut connection).await.unwrap();
    sqlx::query(END_OTHERS).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    discard_idle_connections(&field.pool).await;
}

/// Closes the connections of a pool that were ended: it tests only those that were idle for a while.
async fn discard_idle_connections(pool: &PgPool) {
    let mut idle = vec![];
    while pool.num_idle() > 0 {
        idle.push(pool.acquire().await.unwrap());
    }
    for connection in idle {
        // One that was ended cannot say goodbye.
        drop(connection.close().await);
    }
}

/// Two read models of nothing, with what their stores hold.
struct RebuildWorld {
    field: ProjectionFixture,
    all: Vec<Arc<dyn AnyProjection>>,
    stores: Vec<Arc<Mutex<StorageContents>>>,
}

impl RebuildWorld {
    async fn new() -> Self {
        let field = ProjectionFixture::without_topics(unreachable_registry(), |_| {}).await;
        without_waiting_for_the_disk(&field).await;
        let (one, two) = (EmptyProjection::<0>::new(), EmptyProjection::<1>::new());
        let stores = vec![Arc::clone(&one.stores), Arc::clone(&two.stores)];
        let all: Vec<Arc<dyn AnyProjection>> = vec![Arc::new(one), Arc::new(two)];
        for projection in &all {
            projection.prepare().await.unwrap();
        }
        field.runtime.register_projections(&all).await.unwrap();
        Self { field, all, stores }
    }

    async fn rebuild(&self) -> Result<(), RebuildError> {
        let progress = watch::Sender::new(RebuildProgress::default());
        let (options, stop) = (RebuildOptions::default(), CancellationToken::new());
        self.field.runtime.rebuild(&self.all, &options, &progress, &stop).await.map(drop)
    }

    /// Whoever was cut off gives its turn back by itself; a process that is killed would not, and its term would end.
    async fn turn_is_free(&self) {
        let mut connection = PgConnection::connect_with(&self.field.pool.connect_options()).await.unwrap();
        // A killed process loses its connections and their uncommitted work.
        sqlx::query(END_OTHERS).execute(&mut connection).await.unwrap();
        sqlx::query("update leases set holder = null, expires_at = clock_timestamp() where name = 'rebuild'")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        discard_idle_connections(&self.field.pool).await;
    }

    /// Checks the invariants that hold at any time.
    async fn check(&self, after: &str) {
        let control = self.field.runtime.control();
        let (pointer, builds) = (control.load_pointer().await.unwrap(), control.load_generations().await.unwrap());
        for (projection, stores) in self.all.iter().zip(&self.stores) {
            let name = projection.name();
            let is_kept = |generation: ReadModelGeneration| {
                let build = builds.iter().find(|build| build.projection == name && build.generation == generation);
                build.is_some_and(|build| build.state == GenerationState::Following)
                    && stores.lock().unwrap().prepared.contains(&generation)
            };
            let active = pointer.active_generation(name);
            assert!(
                is_kept(active),
                "{after}: readers of {name} see {active}, which is not kept: {builds:?} {stores:?}"
            );
            let published = stores.lock().unwrap().published;
            assert!(
                published.is_none_or(|published| stores.lock().unwrap().prepared.contains(&published)),
                "{after}: analysts read {published:?} of {name}, which is gone"
            );
            if let Some(before) = pointer.previous.get(name)
                && let Some(build) = builds.iter().find(|build| build.projection == name && build.generation == *before)
                && build.state == GenerationState::Following
            {
                assert!(is_kept(*before), "{after}: there is no way back to {before} of {name}");
            }
        }
        let running: i64 = sqlx::query_scalar("select count(*) from projection_rebuilds where state = 'running'")
            .fetch_one(&self.field.pool)
            .await
            .unwrap();
        assert!(running <= 1, "{after}: {running} rebuilds run");
    }

    /// Plants a failure of one store, sometimes.
    fn plant_failures(&self, dice: &mut SeededChoices) {
        for stores in &self.stores {
            let mut stores = stores.lock().unwrap();
            stores.failing.clear();
            if dice.random_bool(15) {
                stores.failing.insert(dice.pick_item(&["prepare", "publish", "discard"]), true);
            }
        }
    }

    async fn run_action(&self, dice: &mut SeededChoices) -> String {
        let (projection, generation) =
            (&self.all[0], ReadModelGeneration::try_new(dice.pick_item(&[1, 2, 3, 4, 5, 6])).unwrap());
        let runtime = &self.field.runtime;
        let (what, polls) = (dice.number_below(10), dice.number_between(1, 120));
        let (name, outcome) = match what {
            0..=4 => ("rebuild", cut_off(self.rebuild(), polls).await.map(|done| done.map_err(|e| e.to_string()))),
            5 | 6 => {
                let done = cut_off(runtime.abandon_rebuild(&self.all), polls).await;
                ("abandon", done.map(|done| done.map(drop).map_err(|error| error.to_string())))
            }
            7 | 8 => {
                let done = cut_off(runtime.rollback(&self.all), polls).await;
                ("rollback", done.map(|done| done.map(drop).map_err(|error| error.to_string())))
            }
            _ => {
                let done = cut_off(runtime.drop_generation(projection, generation), polls).await;
                ("drop", done.map(|done| done.map_err(|error| error.to_string())))
            }
        };
        format!("{name} {generation} cut off after {polls}: {outcome:?}")
    }
}

#[tokio::test]
async fn readers_see_a_retained_generation_after_any_interruption() {
    let seed = run_seed::read_or_draw_seed().unwrap();
    let (mut dice, world) = (SeededChoices::new(seed, 4), RebuildWorld::new().await);
    let mut course = vec![format!("seed {seed}")];
    for _ in 0..STEPS_PER_RUN {
        world.plant_failures(&mut dice);
        course.push(world.run_action(&mut dice).await);
        world.turn_is_free().await;
        world.check(&course.join("\n")).await;
    }

    // Nothing that was left behind needs manual cleaning up.
    world.stores.iter().for_each(|stores| stores.lock().unwrap().failing.clear());
    if let Err(error) = world.rebuild().await {
        assert!(matches!(error, RebuildError::Abandoned { .. }), "{}\n{error:?}", course.join("\n"));
        world.field.runtime.abandon_rebuild(&world.all).await.unwrap();
        world.rebuild().await.unwrap();
    }
    let before = world.field.runtime.control().load_pointer().await.unwrap();
    let back = world.field.runtime.rollback(&world.all).await.unwrap();
    assert_eq!(back.generations, before.previous, "{}", course.join("\n"));
    world.check("the end").await;
    let builds = world.field.runtime.control().load_generations().await.unwrap();
    assert_eq!(builds.len(), 4, "two of each are left: {builds:?}");
}

#[tokio::test]
async fn giving_up_after_a_failed_publication_gives_up_nothing_and_a_rollback_leads_back() {
    let world = RebuildWorld::new().await;
    world.stores[1].lock().unwrap().failing.insert("publish", true);

    let outcome = world.rebuild().await;

    assert!(matches!(outcome, Err(RebuildError::Unpublished { .. })), "{outcome:?}");
    let last = world.field.runtime.control().last_rebuild().await.unwrap().unwrap();
    assert!(last.state.is_over() && last.error.is_some_and(|error| error.contains("planted")));
    assert_eq!(world.field.runtime.abandon_rebuild(&world.all).await.unwrap(), None, "there is nothing to give up");
    world.check("giving up").await;
    let back = world.field.runtime.rollback(&world.all).await.unwrap();
    assert!(back.generations.values().all(|generation| *generation == ReadModelGeneration::FIRST), "{back:?}");
    world.check("rolling back").await;
}

#[tokio::test]
async fn each_read_model_rolls_back_to_its_own_previous_generation() {
    let world = RebuildWorld::new().await;
    let (one, two) = (&world.all[..1], &world.all[1..]);
    let rebuild = async |projections: &[Arc<dyn AnyProjection>]| {
        let progress = watch::Sender::new(RebuildProgress::default());
        let (options, stop) = (RebuildOptions::default(), CancellationToken::new());
        world.field.runtime.rebuild(projections, &options, &progress, &stop).await.unwrap()
    };
    rebuild(one).await;
    rebuild(two).await;

    assert_eq!(world.field.runtime.control().load_pointer().await.unwrap().moved, ["empty_two"]);
    let back = world.field.runtime.rollback(one).await.unwrap();

    assert_eq!((back.active_generation("empty_one").number(), back.active_generation("empty_two").number()), (1, 2));
    world.check("rolling one back").await;
}

#[tokio::test]
async fn what_a_rebuild_makes_is_not_dropped_beside_it_and_two_do_not_work_at_once() {
    let world = RebuildWorld::new().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let progress = watch::Sender::new(RebuildProgress::default());
    let runtime = &world.field.runtime;
    drop(runtime.rebuild(&world.all, &RebuildOptions::default(), &progress, &stop).await);
    // The first poll of each takes the turn.
    drop(cut_off(world.rebuild(), 6).await);
    world.turn_is_free().await;

    let second = ReadModelGeneration::try_new(2).unwrap();
    let running: i64 = sqlx::query_scalar("select count(*) from projection_rebuilds where state = 'running'")
        .fetch_one(&world.field.pool)
        .await
        .unwrap();
    if running == 1 {
        let refused = runtime.drop_generation(&world.all[0], second).await;
        assert!(matches!(refused, Err(RebuildError::Unfinished { .. })), "{refused:?}");
    }
    let taken = "select taken_epoch from take_lease('rebuild', gen_random_uuid(), 60, 'another:1')";
    sqlx::query(taken).execute(&world.field.pool).await.unwrap();
    let busy = world.rebuild().await;
    assert!(
        matches!(busy, Err(RebuildError::Control(projections::runtime::ControlError::LeaseTaken))),
        "another process has the turn: {busy:?}"
    );
}
