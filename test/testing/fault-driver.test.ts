/** The fault driver where nothing fails: a durable disk, by the contract of every driver. */
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { storageDriverContract } from '../storage/storage-driver-contract.ts'

storageDriverContract('fault driver', () => new FaultDriver())
