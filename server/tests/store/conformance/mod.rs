//! What every back end must keep. Each test gets an empty store; `conformance!` makes the tests for a back end.

pub(crate) mod failures;
pub(crate) mod history;
pub(crate) mod isolation;
pub(crate) mod limits;
pub(crate) mod rows;

/// Makes the suite's tests for one back end: an expression that gives a store and what must live as long, and what
/// each test is marked with.
macro_rules! conformance {
    ($opening:expr $(, $mark:meta)*) => {
        crate::conformance::conformance!($opening, [$($mark),*]
            isolation:
                concurrent_increments_lose_nothing,
                two_that_read_each_others_row_cannot_both_succeed,
                a_row_that_appears_in_a_counted_range_is_a_conflict,
                only_one_fills_an_empty_range,
                byte_max_ends_at_the_greatest,
                a_closure_takes_effect_once,
                a_snapshot_stays_as_it_was,
                an_answer_is_visible_to_readers,
                dropped_futures_do_no_harm;
            rows:
                byte_max_compares_like_keys,
                keys_are_ordered_byte_by_byte,
                a_transaction_reads_its_own_writes,
                clear_range_takes_start_and_leaves_end,
                ranges_read_backwards,
                a_range_gives_at_most_its_limit,
                an_empty_value_is_a_value;
            limits:
                limits_hold_exactly,
                keys_that_are_none_are_refused,
                a_transaction_may_be_as_large_as_its_limit,
                an_exceeded_limit_cannot_be_swallowed;
            failures:
                an_aborted_closure_leaves_nothing,
                a_panic_harms_nobody_else,
                a_closed_store_says_so;
            history:
                one_after_another_agrees_with_a_map,
                concurrent_histories_are_serialisable;
        );
    };
    ($opening:expr, $marks:tt $($module:ident: $($test:ident),*;)*) => {
        $($(crate::conformance::conformance!(@test $opening, $marks $module $test);)*)*
    };
    (@test $opening:expr, [$($mark:meta),*] $module:ident $test:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        $(#[$mark])*
        async fn $test() {
            let (store, _keep) = $opening;
            crate::conformance::$module::$test(store).await;
        }
    };
}
pub(crate) use conformance;

/// What only back ends keep that run closures one after another, in this process.
macro_rules! conformance_of_serial {
    ($opening:expr) => {
        crate::conformance::conformance!($opening, [] failures: awaiting_anything_else_is_an_error;);
    };
}
pub(crate) use conformance_of_serial;
