/**
 * Set up before each test file: properties run as often as the budget says. A failing one prints
 * its seed and path, with which it runs again.
 */
import { configureGlobal } from 'fast-check'
import { budget } from './budget.ts'

configureGlobal({ numRuns: budget.propertyRuns })
