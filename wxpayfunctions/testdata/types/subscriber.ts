// A cloud function that is told of refunds, listed in NOTIFY_FUNCTIONS.
import type { SubscriberEvent, SubscriberReply } from './wxrefund'

const taken = new Set<string>() // in a database, where it outlives the function

export async function main(event: SubscriberEvent): Promise<SubscriberReply> {
  if (taken.has(event.id)) return { code: 'SUCCESS' }
  switch (event.event_type) {
    case 'REFUND.SUCCESS': {
      const { out_refund_no, amount, success_time } = event.resource
      book(out_refund_no, amount.refund, success_time ?? event.create_time)
      break
    }
    case 'REFUND.CLOSED':
    case 'REFUND.ABNORMAL': {
      const status: 'CLOSED' | 'ABNORMAL' = event.resource.refund_status
      report(event.resource.out_refund_no, status, event.resource.user_received_account)
      break
    }
    case 'REFUND_APPLICATION.PENDING': // somebody has to decide
      ask(event.resource.application_id, event.resource.amount.refund, event.resource.reason)
      break
    case 'REFUND_APPLICATION.APPROVED':
    case 'REFUND_APPLICATION.REJECTED':
    case 'REFUND_APPLICATION.WITHDRAWN':
    case 'REFUND_APPLICATION.EXPIRED':
    case 'REFUND_APPLICATION.REFUNDED':
      break
    default: {
      const nothing: never = event // all are here
      return nothing
    }
  }
  taken.add(event.id)
  return { code: 'SUCCESS', message: '成功' }
}

declare function book(outRefundNo: string, fen: number, at: string): void
declare function report(outRefundNo: string, status: 'CLOSED' | 'ABNORMAL', account?: string): void
declare function ask(applicationID: string, fen: number, reason?: string): void
