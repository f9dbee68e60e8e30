/** The fake world as a process of its own: prints its address and stands until it is ended. */
import { startWorld } from './fake-world.ts';

const { url } = await startWorld();
process.stdout.write(`${url}\n`);
