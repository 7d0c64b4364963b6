/**
 * Seeds that once showed a violation in the code that ships, or that come to moments that few seeds come to. They are run
 * first in every CI run. What a seed does depends on the mix of faults: when that grows, some of these lose their story,
 * and the rule that was mended has its mutation or its unit test besides.
 */
export const seedsToKeep: readonly { readonly seed: number; readonly once: string }[] = [
  { seed: 33, once: "results of an old history were published and replayed as the new one's" },
  { seed: 648, once: "a restarted sole member joined a deposed primary and dropped acknowledged records" },
  { seed: 2136, once: "a stopping server that was counted on neither took over nor exited" },
  { seed: 2172, once: "the same, with three servers" },
  { seed: 2179, once: "a primary that lost its backup under load never finished its sync" },
  { seed: 2163, once: "an old copy of the only disk was put in place" },
  { seed: 2318, once: "all four servers died, and one of them had an old disk" },
  { seed: 47, once: "a confirm that crossed a sending again left its mirrors in flight for ever: no service" },
  { seed: 265, once: "a server that was told to stop while it read its disk failed" },
  { seed: 371, once: "the checker took a new history to begin where a joiner took over older records under its name" },
  { seed: 2_001_299, once: "a server that started with a full log and nothing to flush took no request for ever" },
  { seed: 2_000_370, once: "the simulation started a server again after it was told to stop for good" },
  { seed: 10000427, once: "the checker expected a lost disk to remember its epoch" },
  { seed: 10001344, once: "a second failure while a server was dying of its disk counted as within the promise" },
  { seed: 20347, once: "the checker held a new history to an answer that it may have lost" },
  { seed: 2_000_958, once: "the checker ran the first body sent under an id, where another one was run" },
  {
    seed: 2_000_288,
    once: "a primary that handed over after an attempt record read it again, and memory had let go of it",
  },
  { seed: 2_000_657, once: "the same, with the other application" },
  { seed: 91_000_757, once: "a joiner that started with a full log and had nothing compared took no record for ever" },
  {
    seed: 990_000_588,
    once: "what a server had asked for landed in its next life, which had cut its log for a deposed primary",
  },
  {
    seed: 995_010_713,
    once: "a request that kills was tried without end: its attempts were forgotten with older replies",
  },
  {
    seed: 996_017_370,
    once: "an order had the number of one that was gone, and backups that had not reloaded died of it",
  },
  { seed: 996_015_248, once: "a replay heard before the replica that the disk had failed: another end, with a stack" },
  { seed: 996_000_894, once: "a server that had lost its role had no reply to show that it may answer again" },
  { seed: 996_008_801, once: "a snapshot took the last copy of the registry's record along: nobody could put it back" },
  { seed: 997_000_448, once: "the checker judged by a record that the registry had lost before anybody read it" },
  {
    seed: 998_011_250,
    once: "one that was alone wrote two pauses at once, its disk failed, and it was refused as older than it was",
  },
  { seed: 998_026_069, once: "a record that only put an older one back was put back again over what was won after it" },
  { seed: 998_021_900, once: "the same, with two servers" },
  { seed: 1_010_017_603, once: "the judge took what landed late over a restored record for the newest" },
  {
    seed: 1_010_019_610,
    once: "the judge took what a server was told for a history that it had begun by itself before",
  },
  { seed: 1_009_308_089, once: "the last batch of a log was gone, and nothing but meta had been written after it" },
  { seed: 1_009_209_304, once: "two offers of the role in one turn, and the second was judged by the state before" },
  { seed: 1_009_213_981, once: "the judge went by a record that its writer learned of after the registry had lost it" },
  { seed: 1_009_228_318, once: "a server that was told to stop again and again counted its time from the last one" },
  {
    seed: 1_009_101_214,
    once: "an attempt that was forgotten on the primary, and not yet on its backup, counted when that took over",
  },
  {
    seed: 1_004_006_963,
    once: "what was written again to force an answer was put back, and taken for the adding: it asked for ever",
  },
  {
    seed: 1_011_016_240,
    once: "the checker took a request that had waited while a clock leapt for one that was taken later",
  },
  {
    seed: 1_011_028_567,
    once: "the simulated operator waited for a process to end of an error that a life of it had met which was over",
  },
  {
    seed: 1_025_002_022,
    once: "the checker did not know that another fault's operator had told a restored server to go on by force",
  },
  { seed: 910_000_105, once: "the checker held a request without a stamp to be remembered for good" },
];

/** The same with one kind of fault and no other: it brings the moment about, whatever the mix of faults becomes. */
export const scenesToKeep: readonly {
  readonly fault: string;
  readonly seeds: readonly number[];
  readonly once: string;
}[] = [
  { fault: "slowJoiner", seeds: [2, 3, 7], once: "a joiner that was flushing died of the question to take a snapshot" },
  {
    fault: "crashAtBoundary",
    seeds: [948],
    once: "the run ended when a result that nobody waited for was committed, and not yet with the integrator",
  },
  {
    fault: "speakMisfits",
    seeds: [1, 4],
    once: "a message short of its fields, or out of range, ended whoever got it",
  },
];
