/** Time since the page was opened. */

const clock = { elapsedMs: 0, steady: performance.now(), wall: Date.now() };

/** Milliseconds since the page was opened; goes on in sleep, and never back when the clock of the machine is set. */
export function elapse() {
  const [steady, wall] = [performance.now(), Date.now()];
  clock.elapsedMs += Math.max(steady - clock.steady, wall - clock.wall);
  Object.assign(clock, { steady, wall });
  return clock.elapsedMs;
}
