//! A recorded rate: what is read, what is refused, and when packets leave by it.

use std::time::Duration;

use fulmar_network_model::{
    DropCause, Fate, Link, LinkOptions, Rate, TRACE_OPPORTUNITIES_MAX, Trace, TraceError,
};

use super::ms;

/// Bytes of payload that take one opportunity whole.
const WHOLE: usize = 1_472;

fn trace(text: &str) -> Trace {
    Trace::parse(text).unwrap()
}

fn link(text: &str) -> Link {
    Link::new(LinkOptions::CLEAN, 1).with_trace(trace(text))
}

/// When packets of these payloads leave that are offered together.
fn departures(link: &mut Link, now: Duration, payloads: &[usize]) -> Vec<Duration> {
    payloads.iter().filter_map(|bytes| link.offer(now, *bytes).arrivals().next()).collect()
}

#[test]
fn packets_leave_at_the_opportunities_of_the_trace() {
    let mut link = link("2\n5\n5\n9\n");
    assert_eq!(departures(&mut link, ms(0), &[WHOLE; 4]), [ms(2), ms(5), ms(5), ms(9)]);
}

#[test]
fn a_trace_begins_anew_after_its_last_line() {
    let mut link = link("2\n10\n");
    assert_eq!(departures(&mut link, ms(0), &[WHOLE; 5]), [ms(2), ms(10), ms(12), ms(20), ms(22)]);
    assert_eq!(departures(&mut link, ms(1_001), &[WHOLE; 2]), [ms(1_002), ms(1_010)]);
}

#[test]
fn a_trace_may_begin_at_zero() {
    let mut link = link("0\n10\n");
    assert_eq!(departures(&mut link, ms(0), &[WHOLE; 4]), [ms(0), ms(10), ms(10), ms(20)]);
}

#[test]
fn a_packet_at_the_moment_of_an_opportunity_takes_it() {
    let mut link = link("2\n10\n");
    assert_eq!(departures(&mut link, ms(10), &[WHOLE]), [ms(10)]);
    assert_eq!(departures(&mut link, ms(10) + Duration::from_nanos(1), &[WHOLE]), [ms(12)]);
}

#[test]
fn small_packets_share_an_opportunity_and_large_ones_take_several() {
    let mut link = link("1\n2\n3\n4\n");
    // 500 bytes each with their headers: three to an opportunity; then one that needs the rest of one and more.
    assert_eq!(departures(&mut link, ms(0), &[472; 4]), [ms(1), ms(1), ms(1), ms(2)]);
    assert_eq!(departures(&mut link, ms(0), &[WHOLE, 472]), [ms(3), ms(3)]);
}

#[test]
fn what_is_left_of_an_opportunity_is_lost_when_nothing_waits() {
    let mut link = link("1\n2\n3\n4\n");
    assert_eq!(departures(&mut link, ms(0), &[472]), [ms(1)]);
    assert_eq!(departures(&mut link, ms(2), &[WHOLE]), [ms(2)]);
}

#[test]
fn the_queue_before_a_trace_is_that_of_the_options() {
    let options = LinkOptions { rate: Some(Rate::kilobits(1, 3_000)), ..LinkOptions::CLEAN };
    let mut link = Link::new(options, 1).with_trace(trace("1\n2\n3\n"));
    assert_eq!(departures(&mut link, ms(0), &[WHOLE; 2]), [ms(1), ms(2)]);
    assert_eq!(link.queued_bytes(ms(0)), 3_000);
    assert_eq!(link.offer(ms(0), 1), Fate::Dropped(DropCause::QueueFull));
    assert_eq!(link.queued_bytes(ms(2)), 1_500);
    assert_eq!(departures(&mut link, ms(2), &[WHOLE]), [ms(3)]);
    assert_eq!(link.queued_bytes(ms(4)), 0);
}

#[test]
fn a_busy_link_has_the_mean_rate_of_its_trace() {
    let trace = trace("3\n3\n7\n20\n");
    assert_eq!(trace.mean_bits_per_second(), 4 * 1_500 * 8 * 50);
    let mut link = Link::new(LinkOptions::CLEAN, 1).with_trace(trace);
    let mut carried = 0_u64;
    for number in 0..100_000 {
        // More than the trace carries; what does not fit is dropped.
        if let Fate::Arrives(at) = link.offer(Duration::from_micros(100) * number, 972)
            && at <= ms(10_000)
        {
            carried += 1_000;
        }
    }
    assert_eq!(carried, 3_000_000, "ten seconds of 300,000 bytes");
}

#[test]
fn bad_traces_are_refused_with_the_line() {
    let not_a_number = |line, found: &str| TraceError::NotANumber { line, found: found.into() };
    for (text, expected) in [
        ("", TraceError::Empty),
        ("0\n0\n", TraceError::NoLength { line: 2 }),
        ("1\n\n2\n", not_a_number(2, "")),
        ("1\nx\n", not_a_number(2, "x")),
        ("1\n-2\n", not_a_number(2, "-2")),
        ("1\n+2\n", not_a_number(2, "+2")),
        ("1.5\n", not_a_number(1, "1.5")),
        ("4294967296\n", not_a_number(1, "4294967296")),
        ("5\n4\n", TraceError::Falls { line: 2, found: 4, before: 5 }),
    ] {
        assert_eq!(Trace::parse(text), Err(expected), "{text:?}");
    }
    let long = "1\n".repeat(TRACE_OPPORTUNITIES_MAX + 1);
    assert_eq!(Trace::parse(&long), Err(TraceError::TooLong { line: TRACE_OPPORTUNITIES_MAX + 1 }));
}

#[test]
fn an_error_names_the_line_and_what_stands_there() {
    let error = Trace::parse("1\nfast\n").unwrap_err().to_string();
    assert_eq!(error, "line 2: \"fast\" is not a whole number of milliseconds below 4,294,967,296");
}

#[test]
fn a_file_with_carriage_returns_and_without_a_last_line_feed_is_read() {
    assert_eq!(trace("1\r\n2\r\n3"), trace("1\n2\n3\n"));
}
