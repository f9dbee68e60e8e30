/** Starts runs until the store refuses; run under a file size limit, as a full disk would do. Argument: home. Prints the code and how many runs began. */
import { AppError } from '../../src/errors.ts';
import { openRelayDesk } from './desk.ts';

const [home = ''] = process.argv.slice(2);
const desk = await openRelayDesk(home, 'http://127.0.0.1:1');
let begun = 0;
try {
  for (; begun < 5_000; begun++)
    await desk.engine.start({ workflow: 'relay', name: `run-${begun}`, requestKey: `k-${begun}` }, { principal: 'p', door: 't' });
  process.stdout.write(`${JSON.stringify({ code: 'none', begun })}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ code: error instanceof AppError ? error.code : String(error), begun })}\n`);
}
process.exit(0);
