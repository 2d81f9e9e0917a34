//! Busy conversations beside each other: what one of them loses is not waited for by the others.

use std::time::Duration;

use fulmar_interop_tests::simulation::{HeadOfLine, head_of_line};

#[test]
fn a_conversation_that_lost_nothing_delivers_as_on_a_path_without_loss() {
    let HeadOfLine { without_loss, untouched, lanes, one_stream } = head_of_line(Duration::from_secs(90), 1);
    let shown = |figures: &fulmar_interop_tests::simulation::Figures| {
        (figures.messages(), figures.quantile(500), figures.quantile(950), figures.quantile(990))
    };
    let all = [&without_loss, &untouched, &lanes, &one_stream].map(shown);
    // A fair share of the messages, or nothing is said by them.
    assert!(untouched.messages() * 10 > lanes.messages() * 6, "{all:?}");
    // A millisecond is the grain of the clock.
    let grain = Duration::from_millis(1);
    assert!(untouched.quantile(500) <= without_loss.quantile(500) + grain, "{all:?}");
    assert!(untouched.quantile(950) <= without_loss.quantile(950) + 2 * grain, "{all:?}");
    // What the shared window costs: less than a round trip, for one in a hundred.
    assert!(untouched.quantile(990) < without_loss.quantile(990) * 3, "{all:?}");
    // And what there is to lose.
    assert!(one_stream.quantile(950) > without_loss.quantile(950) * 2, "{all:?}");
    assert!(lanes.quantile(950) < one_stream.quantile(950), "{all:?}");
    assert_eq!(lanes.missing + one_stream.missing, 0);
}
